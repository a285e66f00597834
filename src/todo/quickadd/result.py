"""The result of quick add: the fields of a task, the spans that gave them, and open questions."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from todo.core.domain import Priority, RecurrenceFrom

MAX_TEXT = 1_000
"""Characters of a text."""

Kind = Literal["due", "recurrence", "priority", "tag", "list", "reminder", "literal"]
QuestionCode = Literal[
    "weekday-mismatch", "ambiguous-date", "several-dues", "past-due", "no-due", "ends-before-start"
]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the text that was recognized.

    Attributes:
        start: Number of the first code point.
        end: Number of the code point after the last.
        kind: The field that it gave; `literal` for a quote or an escape.
    """

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Question:
    """A part of the text that has more than one meaning, or a meaning that cannot be.

    Attributes:
        start: Number of the first code point.
        end: Number of the code point after the last.
        code: Kind of the question.
        message: One line: the cause, then the remedy.
        choices: Texts that have one meaning, to replace this part.
    """

    start: int
    end: int
    code: QuestionCode
    message: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuickAdd:
    """Result of quick add: the fields of a task.

    Attributes:
        title: Text without the recognized parts; it can be empty.
        due_date: The day, or None.
        due_at: The instant in the given zone, or None; never with `due_date`.
        recurrence: The rule, or None.
        recurrence_from: Basis of the next due.
        priority: The priority.
        tags: The tags in the order of the text, each once.
        list_name: A known list in its own spelling, or None.
        reminders: Minutes before the due, or before midnight of a day; each once.
        spans: The recognized parts, in order, not overlapping.
        questions: Questions; if there is one, the other fields are guesses, so create nothing.
    """

    title: str
    due_date: date | None = None
    due_at: datetime | None = None
    recurrence: str | None = None
    recurrence_from: RecurrenceFrom = "schedule"
    priority: Priority = "none"
    tags: tuple[str, ...] = ()
    list_name: str | None = None
    reminders: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()
    questions: tuple[Question, ...] = ()
