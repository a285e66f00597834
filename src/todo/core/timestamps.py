"""Timestamps as the service stores, compares and shows them."""

from datetime import UTC, datetime

_LENGTH = len("2027-03-01T09:30:00.000000+00:00")


def format_timestamp(moment: datetime) -> str:
    """Return an instant in RFC 3339: in UTC, with six digits of a second.

    All have the same length, so they compare as text in the order of time (SQLite).

    Args:
        moment: With an offset from UTC.
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def is_timestamp(text: str) -> bool:
    """Return whether a time in RFC 3339 is written as `format_timestamp` writes it."""
    marks = text[10:11] + text[19:20] + text[26:]
    return len(text) == _LENGTH and marks == "T.+00:00"
