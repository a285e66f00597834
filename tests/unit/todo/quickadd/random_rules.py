"""Random rules of every kind that tasks can have, and of the kinds that people have."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TypeVar

from todo.schedule.rule import WEEKDAYS, Rule, read_rule

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_EXTREME_ENDS = ("99991231", "99991231T235959Z", "99981231", "19000101", "18991231", "00010101")
_WORKING_DAYS = "MO,TU,WE,TH,FR"

T = TypeVar("T")
Parts = Iterator[tuple[str, str]]


def make_rules(seed: int, count: int) -> Iterator[Rule]:
    """Rules with any combination of parts that `read_rule` accepts."""
    return _make(seed, count, _any_parts)


def make_usual_rules(seed: int, count: int) -> Iterator[Rule]:
    """Rules as calendars and people make them: words exist for all of them."""
    return _make(seed, count, _usual_parts)


def _make(seed: int, count: int, make_parts: Callable[[Random], Parts]) -> Iterator[Rule]:
    random = Random(seed)  # noqa: S311 - no secret
    while count:
        try:
            rule = read_rule(";".join(f"{name}={value}" for name, value in make_parts(random)))
        except ValueError:
            continue
        count -= 1
        yield rule


def _any_parts(random: Random) -> Parts:
    yield "FREQ", random.choice(_FREQUENCIES)
    parts: dict[str, Callable[[], str]] = {
        "INTERVAL": lambda: str(random.choice([1, 2, 3, 10, random.randint(1, 1000)])),
        "BYMONTH": lambda: _numbers(random, range(1, 13)),
        "BYWEEKNO": lambda: _numbers(random, _signed(53)),
        "BYYEARDAY": lambda: _numbers(random, _signed(366)),
        "BYMONTHDAY": lambda: _numbers(random, _signed(31)),
        "BYDAY": lambda: _days(random),
        "BYSETPOS": lambda: _numbers(random, _signed(366) if random.random() < 0.5 else [-1, 1, 2]),
        "WKST": lambda: random.choice(WEEKDAYS),
        "BYHOUR": lambda: str(random.randint(0, 23)),
    }
    for name, make in parts.items():
        if random.random() < 0.3:
            yield name, make()
    if random.random() < 0.05:
        yield "UNTIL", random.choice(_EXTREME_ENDS)
    else:
        yield from _end(random)


def _usual_parts(random: Random) -> Parts:
    frequency = random.choice(_FREQUENCIES)
    yield "FREQ", frequency
    yield "INTERVAL", str(random.choice([1, 1, 2, 3, 4, 6, 10, 12]))
    weekdays = random.choice([",".join(_sample(random, WEEKDAYS)), _WORKING_DAYS, "SA,SU"])
    if frequency == "YEARLY" or random.random() < 0.1:
        yield "BYMONTH", _numbers(random, range(1, 13))
    kind = random.random()
    if frequency in {"DAILY", "WEEKLY"}:
        if kind < 0.7:
            yield "BYDAY", weekdays
    elif kind < 0.4:
        yield "BYMONTHDAY", _numbers(random, [*range(1, 32), -1, -1, -2, -3])
    elif kind < 0.7:
        yield "BYDAY", ",".join(_nth(random) for _ in range(random.choice([1, 1, 2])))
    elif kind < 0.9:
        yield "BYDAY", _WORKING_DAYS
        yield "BYSETPOS", str(random.choice([-1, 1, 2, 3]))
    yield from _end(random)


def _end(random: Random) -> Parts:
    kind = random.random()
    if kind < 0.2:
        yield "COUNT", str(random.choice([1, 2, 5, random.randint(1, 100_000)]))
    elif kind < 0.4:
        day = date(1970, 1, 1) + timedelta(days=random.randint(0, 60_000))
        yield "UNTIL", f"{day:%Y%m%d}"
    elif kind < 0.5:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randint(0, 4 * 10**9))
        yield "UNTIL", f"{at:%Y%m%dT%H%M%SZ}"


def _signed(most: int) -> Sequence[int]:
    return [*range(-most, 0), *range(1, most + 1)]


def _sample(random: Random, values: Sequence[T]) -> list[T]:
    return random.sample(values, min(len(values), random.choice([1, 1, 1, 2, 3, 5])))


def _numbers(random: Random, values: Sequence[int]) -> str:
    return ",".join(map(str, _sample(random, values)))


def _days(random: Random) -> str:
    numbered = random.random() < 0.4
    nths = ["", 1, 2, -1, random.randint(-53, -1)] if numbered else [""]
    return ",".join(f"{random.choice(nths)}{day}" for day in _sample(random, WEEKDAYS))


def _nth(random: Random) -> str:
    return f"{random.choice([1, 1, 2, 3, 4, 5, -1, -1, -2])}{random.choice(WEEKDAYS)}"
