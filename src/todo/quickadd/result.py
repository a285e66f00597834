"""Result of quick add: fields of a task, recognized spans, and questions."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from todo.core.domain import Priority, RecurrenceFrom

MAX_TEXT = 1_000
"""Maximum number of characters in a text."""

Kind = Literal["due", "recurrence", "priority", "tag", "list", "reminder", "literal"]
QuestionCode = Literal[
    "weekday-mismatch", "ambiguous-date", "several-dues", "past-due", "no-due", "ends-before-start"
]


@dataclass(frozen=True, slots=True)
class Span:
    """Recognized part of the text, as a half-open range of code points.

    Its kind is the field that it sets; `literal` is a quotation or an escape.
    """

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Question:
    """Ambiguous or impossible part of the text, as a half-open range of code points.

    Attributes:
        message: Cause and remedy, in one line.
        choices: Unambiguous texts that can replace the part.
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
        due_date: Due day if the text has no due time, otherwise None.
        due_at: Due time in the given zone, or None.
        recurrence: RRULE, or None.
        tags: Tags in the order of the text, without duplicates.
        list_name: Name of a known list in its own spelling, or None.
        reminders: Minutes before the due time, or before midnight of a due day, without duplicates.
        spans: Recognized parts, in order and without overlaps.
        questions: Questions to answer first: with any, the other fields are guesses.
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
