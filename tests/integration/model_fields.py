"""Hypothesis strategies of the reference model: fields of tasks, and queries."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from hypothesis import strategies as st

from tests.integration.model import Image, Question

BEGIN = datetime(2026, 3, 27, 8, tzinfo=UTC)
# What is likely to be split, folded or taken for something else by a search.
WORDS = ("milk", "buy", "example.com", "snake_case", "grüße", "a/b", "<b>bold</b>", "foo-bar")
TEXTS = st.lists(
    st.sampled_from((*WORDS, "Milk", "3.14", "x@y.org", "O'Neil", "&amp;", "-5", "1e5", "!?")),
    min_size=1,
    max_size=4,
).map(" ".join)
TAG = st.sampled_from(("home", "work", "Ünï", "a b"))
TAG_LISTS = st.lists(TAG, max_size=3, unique=True)
PRIORITY = st.sampled_from(("none", "low", "medium", "high"))
DAYS = st.integers(-3, 40).map(lambda days: date(2026, 3, 27) + timedelta(days=days))
# By day: a wall time that the clocks skip is for the tests of recurrence.
INSTANTS = st.builds(
    lambda days, minutes: (
        datetime(2026, 3, 27, 6, tzinfo=UTC) + timedelta(days=days, minutes=minutes)
    ),
    st.integers(-3, 40),
    st.integers(0, 11 * 60),
)
DUE_ZONES = st.sampled_from((None, "UTC", "Asia/Kolkata"))
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata")
RULES = st.sampled_from(
    (
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=3",
        "FREQ=DAILY;COUNT=2",
        "FREQ=WEEKLY",
        "FREQ=DAILY;COUNT=1",
    )
)
POSITIONS = st.sampled_from((0.0, -1.0, 0.1, 0.3, 1e-9, 123456.789012345, 1e15)) | st.floats(
    -1e6, 1e6
).map(lambda number: float(f"{number:.15g}"))
NO_DUE: Image = {}
DUES = st.one_of(
    st.just(NO_DUE),
    st.fixed_dictionaries({"due_date": DAYS}),
    st.fixed_dictionaries({"due_at": INSTANTS}, optional={"due_zone": DUE_ZONES}),
)
CREATE = st.builds(
    lambda fields, due: {**fields, **due},
    st.fixed_dictionaries(
        {"title": TEXTS},
        optional={
            "description": st.none() | TEXTS,
            "priority": PRIORITY,
            "tags": TAG_LISTS,
            "recurrence": RULES,
            "recurrence_from": st.sampled_from(("schedule", "completion")),
            "reminders": st.lists(st.sampled_from((0, 10, 1440, -540)), max_size=3, unique=True),
            "position": POSITIONS,
        },
    ),
    DUES,
)
UPDATE = st.builds(
    lambda fields, due: {**fields, **due},
    st.fixed_dictionaries(
        {},
        optional={
            "title": TEXTS,
            "description": st.none() | TEXTS,
            "priority": PRIORITY,
            "tags": TAG_LISTS,
            "recurrence": st.none() | RULES,
            "recurrence_from": st.sampled_from(("schedule", "completion")),
            "reminders": st.lists(st.sampled_from((0, 10, 1440, -540)), max_size=3, unique=True),
            "position": POSITIONS,
            "is_completed": st.booleans(),
        },
    ),
    DUES | st.sampled_from(({"due_date": None}, {"due_at": None}, {"due_zone": "UTC"})),
)


QUESTIONS = st.builds(
    Question,
    status=st.sampled_from((None, None, "open", "completed")),
    priority=st.none() | PRIORITY,
    tags=st.just(()) | TAG_LISTS.map(tuple),
    due=st.sampled_from((None, None, "overdue", "today", "tomorrow", "week", "month", "none")),
    due_from=st.none() | INSTANTS,
    due_to=st.none() | INSTANTS,
    sort=st.sampled_from((None, "created", "updated", "due", "priority", "title")),
    descending=st.none() | st.booleans(),
)
OPERATIONS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"op": st.just("create"), "task": CREATE}),
        st.fixed_dictionaries(
            {"op": st.just("update"), "task": UPDATE, "number": st.integers(0, 9)}
        ),
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(("complete", "reopen", "delete")),
                "number": st.integers(0, 9),
            },
            optional={"if_match": st.integers(1, 2)},
        ),
    ),
    min_size=1,
    max_size=6,
)


def render(fields: Image) -> Any:  # noqa: ANN401 - fields of a request
    """Return fields as JSON would have them."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in fields.items()
    }


def read(image: bytes | str) -> Image:
    """Return an image with days and instants as such."""
    fields: Image = orjson.loads(image)
    for name in ("due_at", "completed_at", "created_at", "updated_at"):
        if fields.get(name) is not None:
            fields[name] = datetime.fromisoformat(fields[name])
    if fields.get("due_date") is not None:
        fields["due_date"] = date.fromisoformat(fields["due_date"])
    return fields
