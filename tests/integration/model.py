"""Reference model of the task services, in plain Python over dictionaries.

Nothing of the program is used but the words of its answers. One owner; `Model` is copied before
a batch, so that a refused one leaves nothing.
"""

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Image = dict[str, Any]
PRIORITIES = ("none", "low", "medium", "high")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MAX_DEPTH = 5
_DAY = timedelta(days=1)


class RefusedError(Exception):
    """The code of the problem that is to be answered."""


@dataclass(frozen=True)
class Question:
    """Query of a page, with the names of the API."""

    status: str | None = None
    priority: str | None = None
    tags: tuple[str, ...] = ()
    list_id: str | None = None
    parent_id: str | None = None
    due: str | None = None
    due_from: datetime | None = None
    due_to: datetime | None = None
    updated_since: datetime | None = None
    words: str | None = None
    sort: str | None = None
    descending: bool | None = None


@dataclass
class Model:
    """The tasks of one owner by id, in the order of their making."""

    owner: str
    now: datetime
    zone: str = "UTC"
    tasks: dict[str, Image] = field(default_factory=dict)
    lists: dict[str, Image] = field(default_factory=dict)
    fire: dict[str, set[datetime]] = field(default_factory=dict)

    def copy(self) -> "Model":
        return copy.deepcopy(self)

    # Tasks

    def create(self, fields: Image) -> Image:
        """Return the new task, without the id that the program is to choose."""
        parent_id, list_id = fields.get("parent_id"), fields.get("list_id")
        if parent_id is not None:
            parent = self.tasks.get(parent_id)
            if parent is None or self.depth(parent_id) >= MAX_DEPTH:
                raise RefusedError("validation-failed")
            if list_id not in {None, parent["list_id"]}:
                raise RefusedError("validation-failed")
            list_id = parent["list_id"]
        elif list_id is not None and list_id not in self.lists:
            raise RefusedError("validation-failed")
        task: Image = {
            "owner": self.owner,
            "description": None,
            "priority": "none",
            "tags": [],
            "due_date": None,
            "due_at": None,
            "due_zone": None,
            "recurrence": None,
            "recurrence_from": "schedule",
            "reminders": [],
            "position": None,
            **{k: v for k, v in fields.items() if v is not None},
            "list_id": list_id,
            "parent_id": parent_id,
            "is_completed": False,
            "completed_at": None,
            "created_at": self.now,
            "updated_at": self.now,
            "previous_id": None,
            "version": 1,
        }
        self._settle(task)
        return task

    def add(self, task_id: str, task: Image) -> None:
        self.tasks[task_id] = {"id": task_id, **task}
        self._remind(task_id)

    def update(self, task_id: str, changes: Image, expected: int | None) -> Image | None:
        """Change a task; return the next of its series, without id, where there is to be one."""
        before = self._get(task_id, expected)
        after = self._merge(before, changes)
        if after == before:
            return None
        if after["list_id"] != before["list_id"]:
            for below in self.below(task_id):
                self._touch(self.tasks[below], list_id=after["list_id"])
        self.tasks[task_id] = after
        self._touch(after)
        if any(after[n] != before[n] for n in ("due_date", "due_at", "reminders", "is_completed")):
            self._remind(task_id)
        if after["is_completed"] and not before["is_completed"]:
            return self._follow(after)
        return None

    def delete(self, task_id: str, expected: int | None) -> None:
        self._get(task_id, expected)
        for each in [task_id, *self.below(task_id)]:
            del self.tasks[each]
            self.fire.pop(each, None)

    def delete_list(self, list_id: str, *, with_tasks: bool) -> None:
        inside = [task["id"] for task in self.tasks.values() if task["list_id"] == list_id]
        if list_id not in self.lists:
            raise RefusedError("not-found")
        if inside and not with_tasks:
            raise RefusedError("list-not-empty")
        for each in inside:
            del self.tasks[each]
            self.fire.pop(each, None)
        del self.lists[list_id]

    def replace_tag(self, tag: str, name: str | None) -> int:
        tagged = [task for task in self.tasks.values() if tag in task["tags"]]
        if not tagged:
            raise RefusedError("not-found")
        if tag == name:
            return 0
        for task in tagged:
            tags = dict.fromkeys(name if each == tag else each for each in task["tags"])
            self._touch(task, tags=[each for each in tags if each is not None])
        return len(tagged)

    def depth(self, task_id: str) -> int:
        parent = self.tasks[task_id]["parent_id"]
        return 1 if parent is None else 1 + self.depth(parent)

    def below(self, task_id: str) -> list[str]:
        direct = [task["id"] for task in self.tasks.values() if task["parent_id"] == task_id]
        return direct + [each for child in direct for each in self.below(child)]

    def _get(self, task_id: str, expected: int | None) -> Image:
        if task_id not in self.tasks:
            raise RefusedError("not-found")
        if expected is not None and self.tasks[task_id]["version"] != expected:
            raise RefusedError("version-mismatch")
        return self.tasks[task_id]

    def _touch(self, task: Image, **changes: Any) -> None:  # noqa: ANN401 - any field
        task |= {**changes, "updated_at": self.now, "version": task["version"] + 1}

    def _merge(self, before: Image, changes: Image) -> Image:
        after = {**before, **changes}
        if changes.get("due_date") is not None:
            after |= {"due_at": None, "due_zone": None}
        elif changes.get("due_at") is not None:
            after["due_date"] = None
        if after["due_at"] is None:
            after["due_zone"] = None
        if "list_id" in changes or "parent_id" in changes:
            self._check_place(before, after, changes)
        if {"due_date", "due_at", "due_zone", "recurrence", "recurrence_from"} & set(changes):
            self._settle(after)
        if after["is_completed"] != before["is_completed"]:
            after["completed_at"] = self.now if after["is_completed"] else None
        return after

    def _check_place(self, before: Image, after: Image, changes: Image) -> None:
        parent_id = after["parent_id"]
        if parent_id is None:
            if after["list_id"] is not None and after["list_id"] not in self.lists:
                raise RefusedError("validation-failed")
            return
        if parent_id not in self.tasks:
            raise RefusedError("validation-failed")
        if parent_id != before["parent_id"]:
            below = self.below(before["id"])
            height = max([0, *(self.depth(e) - self.depth(before["id"]) for e in below)])
            if parent_id in {before["id"], *below}:
                raise RefusedError("validation-failed")
            if self.depth(parent_id) + 1 + height > MAX_DEPTH:
                raise RefusedError("validation-failed")
        parent = self.tasks[parent_id]
        if changes.get("list_id", parent["list_id"]) != parent["list_id"]:
            raise RefusedError("validation-failed")
        after["list_id"] = parent["list_id"]

    def _settle(self, task: Image) -> None:
        if task["due_at"] is None:
            if task["due_zone"] is not None:
                raise RefusedError("validation-failed")
        elif task["due_zone"] is None:
            task["due_zone"] = self.zone
        rule = task["recurrence"]
        start = self._start(task)
        if rule == "FREQ=WEEKLY" and start is not None and task["recurrence_from"] == "schedule":
            task["recurrence"] = f"FREQ=WEEKLY;BYDAY={WEEKDAYS[start.weekday()]}"

    def _start(self, task: Image) -> date | None:
        """The day that a task is due, as clocks in its zone say."""
        if task["due_at"] is not None:
            at: datetime = task["due_at"]
            return at.astimezone(ZoneInfo(task["due_zone"])).date()
        day: date | None = task["due_date"]
        return day

    # A series: daily every so often, perhaps so many times; or weekly.

    def _follow(self, done: Image) -> Image | None:
        rule = done["recurrence"]
        if rule is None or "COUNT=1" in rule.split(";"):
            return None
        if any(each["previous_id"] == done["id"] for each in self.tasks.values()):
            return None
        zone = ZoneInfo(done["due_zone"] or self.zone)
        start = self._start(done)
        if start is None or done["recurrence_from"] == "completion":
            begin = self.now.astimezone(zone).date()
        else:
            begin = start
        parts = dict(part.split("=") for part in rule.split(";"))
        if parts["FREQ"] == "DAILY":
            day = begin + int(parts.get("INTERVAL", 1)) * _DAY
            if "COUNT" in parts:
                parts["COUNT"] = str(int(parts["COUNT"]) - 1)
        else:
            weekday = WEEKDAYS.index(parts["BYDAY"]) if "BYDAY" in parts else begin.weekday()
            day = begin + ((weekday - begin.weekday() - 1) % 7 + 1) * _DAY
            if done["recurrence_from"] == "schedule":
                parts["BYDAY"] = WEEKDAYS[weekday]
        following = {
            **done,
            "recurrence": ";".join(f"{name}={value}" for name, value in parts.items()),
            "is_completed": False,
            "completed_at": None,
            "created_at": self.now,
            "updated_at": self.now,
            "previous_id": done["id"],
            "version": 1,
        }
        del following["id"]
        if done["due_at"] is None:
            following["due_date"] = day
        else:
            clock = done["due_at"].astimezone(zone).time()
            following["due_at"] = datetime.combine(day, clock, zone).astimezone(UTC)
        return following

    def _remind(self, task_id: str) -> None:
        task = self.tasks[task_id]
        times = set()
        for minutes in [] if task["is_completed"] else task["reminders"]:
            before = timedelta(minutes=minutes)
            if task["due_at"] is not None:
                times.add(task["due_at"] - before)
            elif task["due_date"] is not None:
                wall = datetime.combine(task["due_date"], time()) - before
                times.add(wall.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC))
        self.fire[task_id] = {each for each in times if each > self.now}

    # Questions

    def find(self, question: Question) -> list[str]:
        """Return the ids of the tasks that answer a question, in its order."""
        found = [task for task in self.tasks.values() if self._answers(task, question)]
        windowed = question.due not in {None, "none"} or question.due_from or question.due_to
        sort = question.sort or ("due" if windowed else "created")
        descending = question.descending
        if descending is None:
            descending = sort in {"created", "updated", "priority"}
        keys: dict[str, Callable[[Image], Any]] = {
            "created": lambda task: 0,  # noqa: ARG005 - its id tells
            "updated": lambda task: task["updated_at"],
            "due": _due_key,
            "priority": lambda task: PRIORITIES.index(task["priority"]),
            "title": lambda task: task["title"].encode(),
            "position": lambda task: task["position"],
        }
        key = keys[sort]
        found.sort(key=lambda task: (key(task), task["id"]), reverse=descending)
        return [task["id"] for task in found]

    def _answers(self, task: Image, asked: Question) -> bool:
        return all(
            (
                asked.status is None or task["is_completed"] == (asked.status == "completed"),
                asked.priority in {None, task["priority"]},
                set(asked.tags) <= set(task["tags"]),
                asked.list_id in {None, task["list_id"] or "none"},
                asked.parent_id in {None, task["parent_id"]},
                self._is_due(task, asked),
                asked.updated_since is None or task["updated_at"] >= asked.updated_since,
                asked.words is None or _has_words(task, asked.words),
            )
        )

    def _is_due(self, task: Image, asked: Question) -> bool:
        at, day = task["due_at"], task["due_date"]
        if at is None and day is None:
            return asked.due in {None, "none"} and not (asked.due_from or asked.due_to)
        if asked.due == "none":
            return False
        instant = at or datetime.combine(day, time(), ZoneInfo(self.zone))
        return (
            (asked.due_from is None or instant >= asked.due_from)
            and (asked.due_to is None or instant < asked.due_to)
            and (asked.due is None or self._is_due_by_name(task, asked.due))
        )

    def _is_due_by_name(self, task: Image, name: str) -> bool:
        at, zone = task["due_at"], ZoneInfo(self.zone)
        today = self.now.astimezone(zone).date()
        day = task["due_date"] or at.astimezone(zone).date()
        late = day < today if at is None else at < self.now
        meant: dict[str, bool] = {
            "overdue": late and not task["is_completed"],
            "today": day == today,
            "tomorrow": day == today + _DAY,
            "week": today <= day < today + 7 * _DAY,
            "month": today <= day < _month_later(today),
        }
        return meant[name]


def _month_later(day: date) -> date:
    later = (day.replace(day=1) + 31 * _DAY).replace(day=1)
    try:
        return later.replace(day=day.day)
    except ValueError:
        return (later + 31 * _DAY).replace(day=1)


def _due_key(task: Image) -> datetime:
    if task["due_date"] is not None:
        return datetime.combine(task["due_date"], time(), UTC)
    at: datetime = task["due_at"] or datetime.max.replace(tzinfo=UTC)
    return at


def split(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _has_words(task: Image, words: str) -> bool:
    have = set(split(f"{task['title']} {task['description'] or ''}"))
    wanted = split(words)
    return bool(wanted) and set(wanted[:-1]) <= have and _begins(have, wanted[-1])


def _begins(words: Iterable[str], beginning: str) -> bool:
    return any(word.startswith(beginning) for word in words)
