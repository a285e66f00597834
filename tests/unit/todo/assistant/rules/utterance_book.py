"""Messages to the assistant, and what each of them means; the tasks that they are about.

The messages of `before_rules.jsonl` were written before the rules, and those of `with_rules.jsonl`
beside them. Nothing was changed for those of `held_out.jsonl`: they show what the rules make of
messages that they were not made for.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from todo.assistant.rules.decision import Decision, RuleContext, TaskName
from todo.quickadd.moves import NewDue, Shift, parse_new_due
from todo.quickadd.parser import parse_quick_add

FOLDER = Path(__file__).parent / "utterances"
HELD_OUT = "held_out"
MADE_FOR_RULES = "with_rules"
BOOKS = ("before_rules", MADE_FOR_RULES, HELD_OUT)
Verdict = Literal["right", "undecided", "wrong"]


@dataclass(frozen=True, slots=True)
class Utterance:
    """A message.

    Attributes:
        text: What the person writes.
        kind: What it means: an intent, "several fit", "nothing" or "hostile".
        intent: The intent; None where nothing should be done.
        expected: Fields of the right decision, as the file has them.
        book: The file.
    """

    text: str
    kind: str
    intent: str | None
    expected: Mapping[str, Any]
    book: str


DELETION = frozenset({"delete"})
"""The operations of a plan that waits."""


@cache
def load_utterances() -> tuple[Utterance, ...]:
    """Return all messages."""
    return tuple(each for book in BOOKS for each in _load(book))


def make_context(open_plan: frozenset[str] | None = None) -> RuleContext:
    """Return the tasks and the present that the messages are about."""
    world = _load_world()
    return RuleContext(
        now=datetime.fromisoformat(world["now"]),
        zone=ZoneInfo(world["zone"]),
        list_names=tuple(world["lists"]),
        tasks=tuple(_load_tasks().values()),
        open_plan=open_plan,
    )


def context_of(utterance: Utterance) -> RuleContext:
    """Return what is known when a message comes."""
    has_open_plan = utterance.expected.get("has_open_plan", False)
    return make_context(DELETION if has_open_plan else None)


def judge(utterance: Utterance, decision: Decision | None) -> Verdict:
    """Return whether a decision is the right one, apart from how it is put into words."""
    if utterance.intent is None:
        changes = decision is not None and decision.intent not in {"find", "help"}
        return "wrong" if changes else "right"
    if decision is None or decision.intent == "help":
        return "undecided"
    return "right" if _is_right(utterance, decision) else "wrong"


def _is_right(utterance: Utterance, decision: Decision) -> bool:
    expected = utterance.expected
    named: dict[str, set[str]] = {
        "tasks": {task.id for task in decision.tasks},
        "candidates": {task.id for task in decision.candidates},
    }
    if decision.intent != utterance.intent:
        return False
    if decision.intent == "add":
        return _is_right_addition(expected, decision)
    if decision.intent == "find":
        return _is_right_search(expected, decision)
    wanted = {key: set(expected.get(key, ())) for key in named}
    return (
        named == wanted
        and decision.run_id == expected.get("run_id")
        and ("due" not in expected or _read_due(decision.text) == expected["due"])
        and ("fields" not in expected or decision.fields == expected["fields"])
    )


def _is_right_addition(expected: Mapping[str, Any], decision: Decision) -> bool:
    if "lines" in expected:
        lines: list[str] = expected["lines"]
        return decision.text.splitlines() == lines
    context = make_context()
    read = parse_quick_add(decision.text, context.now, context.zone, context.list_names)
    due = read.due_date or read.due_at
    return not read.questions and all(
        (
            "title" not in expected or read.title == expected["title"],
            "list" not in expected or read.list_name == expected["list"],
            "due" not in expected or due == _read_expected(expected["due"]),
        )
    )


def _is_right_search(expected: Mapping[str, Any], decision: Decision) -> bool:
    fields = expected.get("fields", {})
    words = expected.get("words", "")
    return (
        fields.items() <= decision.fields.items()
        and words in decision.text.lower()
        and bool(words) == bool(decision.text)
    )


def _read_due(text: str) -> str | None:
    """Return a new due as the files write it: the day, for all that names one."""
    context = make_context()
    new = parse_new_due(text, context.now, context.zone)
    if isinstance(new, Shift):
        return None
    assert isinstance(new, NewDue)
    return None if new.day is None else new.day.isoformat()


def _read_expected(text: str | None) -> date | datetime | None:
    if text is None:
        return None
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _load(book: str) -> Iterator[Utterance]:
    for line in (FOLDER / f"{book}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        kind = row.pop("class")
        intent = None if kind in {"nothing", "hostile"} else kind
        several = "several fit" if "candidates" in row else kind
        yield Utterance(row.pop("text"), several, intent, row, book)


@cache
def _load_world() -> dict[str, Any]:
    world: dict[str, Any] = json.loads((FOLDER / "world.json").read_text(encoding="utf-8"))
    return world


@cache
def _load_tasks() -> dict[str, TaskName]:
    return {
        name: TaskName(
            id=name,
            title=task["title"],
            version=1,
            list_name=task.get("list"),
            is_completed=task.get("is_completed", False),
            due=task.get("due"),
            is_shared=False,
        )
        for name, task in _load_world()["tasks"].items()
    }
