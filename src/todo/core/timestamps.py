"""Timestamps as the service stores, compares and shows them."""

from datetime import UTC, datetime


def format_timestamp(moment: datetime) -> str:
    """Return an instant in RFC 3339: in UTC, with six digits of a second.

    All have the same length, so they compare as text in the order of time (SQLite).

    Args:
        moment: With an offset from UTC.
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
