"""CPU time that a line of quick add takes: the phrases of the tests, and hostile lines.

Hostile lines have the largest length that is accepted: one word repeated, or words of the grammar
in random order. Each figure is the least of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from tests.unit.todo.quickadd.phrasebook import load_phrases
from todo.quickadd.parser import parse_quick_add
from todo.quickadd.result import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)
_LISTS = tuple(f"List number {number}" for number in range(200))
_SEED = 13
_MIXED = 200
_WORDS = (
    *("every", "every!", "other", "last", "first", "2nd", "on", "the", "of", "in", "at", "by"),
    *("until", "starting", "for", "times", "after", "completion", "remind", "me", "before"),
    *("mon", "friday,", "and", "march", "may", "15", "15th", "2027", "3/4", "5.6.", "2027-03-15"),
    *("5pm", "17:30", "noon", "tonight", "tomorrow", "next", "week", "days", "3", "half", "past"),
    *("#a", "@b", "+c", "~d", "#list", "number", '"', "\\", "!", "!!", "!30m", "*1h", "p1", ","),
    *("due:eom", "RRULE:FREQ=DAILY", "word", "é", "“", "”"),
)


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    phrases = [_reading(each.text, each.now, each.lists) for each in load_phrases()]
    hostile = [_reading(text, _NOW, _LISTS) for text in _hostile_lines()]
    sys.stdout.write(f"{'CPU ms a line':20} {'lines':>6} {'median':>8} {'p99':>8} {'max':>8}\n")
    for name, readings in (("phrases", phrases), ("hostile lines", hostile)):
        costs = sorted(_cost_ms(read, rounds) for read in readings)
        median, p99 = statistics.median(costs), costs[len(costs) * 99 // 100]
        sys.stdout.write(f"{name:20} {len(costs):6} {median:8.3f} {p99:8.3f} {costs[-1]:8.3f}\n")
    return 0


def _reading(text: str, now: datetime, lists: Iterable[str]) -> Callable[[], object]:
    names, zone = tuple(lists), now.tzinfo or UTC
    return lambda: parse_quick_add(text, now, zone, names)


def _hostile_lines() -> Iterator[str]:
    for word in _WORDS:
        for blank in ("", " "):
            yield (f"{word}{blank}" * MAX_TEXT)[:MAX_TEXT]
    random = Random(_SEED)  # noqa: S311 - no secret
    for _ in range(_MIXED):
        yield " ".join(random.choices(_WORDS, k=MAX_TEXT))[:MAX_TEXT]


def _cost_ms(read: Callable[[], object], rounds: int) -> float:
    costs = []
    for _ in range(rounds):
        start = time.process_time_ns()
        read()
        costs.append(time.process_time_ns() - start)
    return min(costs) / 1e6


if __name__ == "__main__":
    sys.exit(main())
