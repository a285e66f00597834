"""Recurrence rules: the subset of RFC 5545's RRULE that tasks support.

The parser rejects unsupported parts with an error that suggests a remedy. A rule determines the
days on which a task recurs; the time of day is that of the due time.
"""

import enum
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

MAX_LENGTH = 512
MAX_INTERVAL = 1000
MAX_COUNT = 100_000
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WEEKS_OF_A_MONTH = 5

_NUMBER = re.compile(r"[+-]?[0-9]{1,6}")
_DAY = re.compile(rf"([+-]?[0-9]{{1,2}})?({'|'.join(WEEKDAYS)})")
_DATE = re.compile(r"[0-9]{8}")
_INSTANT = re.compile(r"[0-9]{8}T[0-9]{6}Z")


class Frequency(enum.StrEnum):
    """Length of a rule's period."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True)
class Rule:
    """Recurrence rule; `str` renders its text. Negative numbers count from the end.

    Attributes:
        interval: Number of periods from one instance to the next.
        count: Remaining instances, including this one.
        until: Last day, or last instant in UTC.
        by_day: Pairs of ordinal in the period (0 for each) and weekday (0 for Monday).
        by_set_pos: Positions among the days of a period.
        week_start: First weekday of a week (0 for Monday).
        clock: Wall time of the series, if a clock change has shifted this instance.
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: date | None = None
    by_month: tuple[int, ...] = ()
    by_week_no: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_day: tuple[tuple[int, int], ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: int = 0
    clock: time | None = None

    def __str__(self) -> str:
        days = [f"{nth or ''}{WEEKDAYS[weekday]}" for nth, weekday in self.by_day]
        clock = self.clock
        parts = {
            "FREQ": self.frequency,
            "INTERVAL": "" if self.interval == 1 else self.interval,
            "COUNT": "" if self.count is None else self.count,
            "UNTIL": _render_until(self.until),
            "BYMONTH": _join(self.by_month),
            "BYWEEKNO": _join(self.by_week_no),
            "BYYEARDAY": _join(self.by_year_day),
            "BYMONTHDAY": _join(self.by_month_day),
            "BYDAY": ",".join(days),
            "BYHOUR": "" if clock is None else clock.hour,
            "BYMINUTE": "" if clock is None else clock.minute,
            "BYSECOND": "" if clock is None else clock.second,
            "BYSETPOS": _join(self.by_set_pos),
            "WKST": WEEKDAYS[self.week_start] if self.week_start else "",
        }
        return ";".join(f"{name}={value}" for name, value in parts.items() if value != "")


def _join(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def _render_until(until: date | None) -> str:
    if until is None:
        return ""
    # `strftime` does not pad years to four digits on every platform.
    text = until.isoformat().partition("+")[0].replace("-", "").replace(":", "")
    return f"{text}Z" if isinstance(until, datetime) else text


def read_rule(text: str) -> Rule:
    """Parse a rule, without checking whether it ever occurs.

    Raises:
        ValueError: The rule is invalid or unsupported; the message names the part.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"must have at most {MAX_LENGTH} characters")
    plain = text.strip().upper().removeprefix("RRULE:")
    values: dict[str, Any] = {}
    for part in plain.split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"{_show(part)} is not a rule part; write NAME=VALUE;NAME=VALUE")
        if name in values:
            raise ValueError(f"{name} occurs twice; write it once")
        values[name] = _read_part(name, value)
    if "FREQ" not in values:
        raise ValueError("FREQ is missing; write, for example, FREQ=WEEKLY")
    _check_together(values)
    fields = {_FIELDS[name]: value for name, value in values.items() if name in _FIELDS}
    if "BYHOUR" in values:
        clock = [values.get(name, 0) for name in ("BYHOUR", "BYMINUTE", "BYSECOND")]
        fields["clock"] = time(*clock)
    return Rule(**fields)


def _show(text: str) -> str:
    # This escapes only unprintable characters, including line separators such as U+2028.
    plain = (c if c.isprintable() and c not in '"\\' else json.dumps(c)[1:-1] for c in text[:40])
    return f'"{"".join(plain)}"'


def _read_part(name: str, value: str) -> Any:  # noqa: ANN401 - each part has its own type
    reader = _READERS.get(name)
    if reader is None:
        reason = _REASONS.get(name, f"known rule parts are {', '.join(_READERS)}")
        raise ValueError(f"{_show(name)} is not supported; {reason}")
    try:
        return reader(value)
    except ValueError as error:
        raise ValueError(f"{name}={_show(value)}: {error}") from None


def _read_frequency(value: str) -> Frequency:
    if value not in Frequency.__members__:
        raise ValueError(f"supported frequencies are {', '.join(Frequency)}")
    return Frequency(value)


def _read_number(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        # `int` also accepts spaces, underscores and digits of other scripts.
        if not _NUMBER.fullmatch(value) or not least <= int(value) <= most or value[0] in "+-":
            raise ValueError(f"must be a number from {least} to {most}")
        return int(value)

    return read


def _read_second(value: str) -> int:
    # Second 60 is a leap second, and read as 59 (RFC 5545, 3.3.10).
    return min(_read_number(0, 60)(value), 59)


def _read_numbers(most: int, *, signed: bool = True) -> Callable[[str], tuple[int, ...]]:
    kind = f"1 to {most}, or -{most} to -1" if signed else f"1 to {most}"

    def read(value: str) -> tuple[int, ...]:
        numbers = set()
        for each in value.split(","):
            number = int(each) if _NUMBER.fullmatch(each) else 0
            if not 1 <= (abs(number) if signed else number) <= most:
                raise ValueError(f"each must be a number from {kind}, separated by commas")
            numbers.add(number)
        return tuple(sorted(numbers))

    return read


def _read_days(value: str) -> tuple[tuple[int, int], ...]:
    days = set()
    for each in value.split(","):
        match = _DAY.fullmatch(each)
        nth = int(match[1] or 0) if match else 0
        if not match or (match[1] and not 1 <= abs(nth) <= 53):  # noqa: PLR2004 - weeks of a year
            raise ValueError(
                f"each must be one of {', '.join(WEEKDAYS)}, or as in 1MO or -1FR, "
                "separated by commas"
            )
        days.add((nth, WEEKDAYS.index(match[2])))
    return tuple(sorted(days))


def _read_weekday(value: str) -> int:
    if value not in WEEKDAYS:
        raise ValueError(f"must be one of {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(value)


def _read_until(value: str) -> date:
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
        if _INSTANT.fullmatch(value):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("must be a date such as 20261231, or a UTC time such as 20261231T235959Z")


def _check_together(values: dict[str, Any]) -> None:
    frequency = values["FREQ"]
    if "COUNT" in values and "UNTIL" in values:
        raise ValueError("COUNT and UNTIL are mutually exclusive; remove one")
    for name in ("BYWEEKNO", "BYYEARDAY"):
        if name in values and frequency is not Frequency.YEARLY:
            raise ValueError(f"{name} requires FREQ=YEARLY")
    if "BYMONTHDAY" in values and frequency is Frequency.WEEKLY:
        raise ValueError(
            "BYMONTHDAY cannot be used with FREQ=WEEKLY; use FREQ=MONTHLY or FREQ=DAILY"
        )
    nths = [abs(nth) for nth, _ in values.get("BYDAY", ()) if nth]
    if nths and frequency not in {Frequency.MONTHLY, Frequency.YEARLY}:
        raise ValueError("BYDAY with numbers, such as 1MO, requires FREQ=MONTHLY or FREQ=YEARLY")
    if nths and "BYWEEKNO" in values:
        raise ValueError("BYDAY with numbers, such as 1MO, cannot be used with BYWEEKNO")
    in_month = frequency is Frequency.MONTHLY or "BYMONTH" in values
    if nths and in_month and max(nths) > _WEEKS_OF_A_MONTH:
        raise ValueError(f"BYDAY: a month has a weekday at most {_WEEKS_OF_A_MONTH} times")
    by_days = {"BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY"}
    if "BYSETPOS" in values and not by_days & values.keys():
        raise ValueError("BYSETPOS requires another part that selects days, such as BYDAY")
    if {"BYMINUTE", "BYSECOND"} & values.keys() and "BYHOUR" not in values:
        raise ValueError("BYMINUTE and BYSECOND require BYHOUR; set the time in the due date")


# In the order in which `Rule.__str__` writes the parts.
_READERS: dict[str, Callable[[str], Any]] = {
    "FREQ": _read_frequency,
    "INTERVAL": _read_number(1, MAX_INTERVAL),
    "COUNT": _read_number(1, MAX_COUNT),
    "UNTIL": _read_until,
    "BYMONTH": _read_numbers(12, signed=False),
    "BYWEEKNO": _read_numbers(53),
    "BYYEARDAY": _read_numbers(366),
    "BYMONTHDAY": _read_numbers(31),
    "BYDAY": _read_days,
    "BYHOUR": _read_number(0, 23),
    "BYMINUTE": _read_number(0, 59),
    "BYSECOND": _read_second,
    "BYSETPOS": _read_numbers(366),
    "WKST": _read_weekday,
}
_FIELDS = {
    "FREQ": "frequency",
    "INTERVAL": "interval",
    "COUNT": "count",
    "UNTIL": "until",
    "BYMONTH": "by_month",
    "BYWEEKNO": "by_week_no",
    "BYYEARDAY": "by_year_day",
    "BYMONTHDAY": "by_month_day",
    "BYDAY": "by_day",
    "BYSETPOS": "by_set_pos",
    "WKST": "week_start",
}
_REASONS = {
    "BYEASTER": "it is not part of RFC 5545, and a rule cannot express Easter",
    "RSCALE": "rules follow the Gregorian calendar",
    "SKIP": "days that a month lacks are skipped; BYMONTHDAY=-1 is the last day of each month",
    "DTSTART": "the due date is the start",
}
