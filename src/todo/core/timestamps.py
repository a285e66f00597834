"""Timestamps in the format that the service stores, compares and shows."""

from datetime import UTC, datetime

_LENGTH = len("2027-03-01T09:30:00.000000+00:00")


def format_timestamp(moment: datetime) -> str:
    """Return a time with UTC offset in RFC 3339: in UTC, with microseconds.

    All results have the same length, so that they sort by time as text (SQLite).
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def is_timestamp(text: str) -> bool:
    """Return whether an RFC 3339 time has the format of `format_timestamp`."""
    marks = text[10:11] + text[19:20] + text[26:]
    return len(text) == _LENGTH and marks == "T.+00:00"
