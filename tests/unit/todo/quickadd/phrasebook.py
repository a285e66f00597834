"""The phrases of quick add: what a person writes, and the task that it means."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

FOLDER = Path(__file__).parent / "phrases"


@dataclass(frozen=True)
class Phrase:
    """A line of a file in `phrases/`; fields that a line leaves out have their default.

    Attributes:
        topic: Name of the file.
        text: As a person writes it.
        now: When the person writes it, in the zone.
        lists: Names of the lists that the person has.
        expected: The fields of the task by name; None when quick add must ask.
        questions: Codes of the questions.
    """

    topic: str
    text: str
    now: datetime
    lists: tuple[str, ...]
    expected: dict[str, Any] | None
    questions: tuple[str, ...]


def load_phrases() -> Iterator[Phrase]:
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            yield _decode(path.stem, json.loads(line))


def _decode(topic: str, row: dict[str, Any]) -> Phrase:
    now = datetime.fromisoformat(row.pop("now")).astimezone(ZoneInfo(row.pop("zone")))
    text, lists = row.pop("text"), tuple(row.pop("lists", ()))
    questions = tuple(row.pop("questions", ()))
    if questions:
        return Phrase(topic, text, now, lists, None, questions)
    expected = {
        "title": row.pop("title"),
        "due_date": _decode_with(date.fromisoformat, row.pop("due_date", None)),
        "due_at": _decode_with(datetime.fromisoformat, row.pop("due_at", None)),
        "recurrence": row.pop("recurrence", None),
        "recurrence_from": row.pop("recurrence_from", "schedule"),
        "priority": row.pop("priority", "none"),
        "tags": tuple(row.pop("tags", ())),
        "list_name": row.pop("list_name", None),
        "reminders": tuple(row.pop("reminders", ())),
    }
    if row:
        raise ValueError(f"unknown fields of a phrase: {', '.join(row)}")
    return Phrase(topic, text, now, lists, expected, ())


def _decode_with(decode: Any, value: str | None) -> Any:  # noqa: ANN401 - the type is the caller's
    return None if value is None else decode(value)
