"""The task services beside a model in memory: they agree whatever is done, as does the journal.

A short search in each run; a longer one with `MODEL_EXAMPLES=2000`.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from tests.integration.model import Image, Model, Question, RefusedError
from tests.integration.model_fields import (
    CREATE,
    OPERATIONS,
    QUESTIONS,
    RULES,
    TAG,
    TAG_LISTS,
    TEXTS,
    UPDATE,
    ZONES,
    read,
    render,
)
from tests.integration.model_machine import ModelMachine
from tests.integration.worlds import World, open_world
from todo.core.errors import BatchFailedError
from todo.db.documents import TASK_FIELDS, StoredDocument
from todo.db.statement import Statement
from todo.lists.service import ListService
from todo.tags.service import TagService
from todo.tasks import query as tasks_query
from todo.tasks.batch import run_batch

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "60"))
STEPS = 30

SET_ZONE = Statement(text("UPDATE account SET zone = :zone WHERE owner = :owner"))


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with open_world(request) as world:
        yield world


class Machine(ModelMachine):
    """Permitted operations."""

    tasks: Bundle[str] = Bundle("tasks")
    lists: Bundle[str] = Bundle("lists")

    @initialize(zone=st.sampled_from(ZONES))
    def begin(self, zone: str) -> None:
        self.write(lambda work: work.lock(self.caller.user))
        self.set_zone(zone)

    @rule(zone=st.sampled_from(ZONES))
    def set_zone(self, zone: str) -> None:
        values = {"owner": self.caller.user, "zone": zone}
        self.write(lambda work: work.session.run((SET_ZONE, values)))
        self.model.zone = zone

    @rule(minutes=st.sampled_from((0, 1, 7 * 60, 24 * 60, 30 * 24 * 60)))
    def wait(self, minutes: int) -> None:
        self.model.now += timedelta(minutes=minutes, microseconds=1)

    @rule(target=lists, name=TEXTS)
    def create_list(self, name: str) -> str:
        made = orjson.loads(self.write(lambda work: ListService(work).create({"name": name})).body)
        self.model.lists[made["id"]] = made
        return str(made["id"])

    @rule(list_id=lists, name=TEXTS)
    def rename_list(self, list_id: str, name: str) -> None:
        def act() -> StoredDocument:
            return self.write(lambda work: ListService(work).update(list_id, {"name": name}))

        known = self.model.lists.get(list_id)
        if known is None:
            self.expect("not-found", act)
            return
        assert act().version == known["version"] + (known["name"] != name)
        known |= {"name": name, "version": known["version"] + (known["name"] != name)}

    @rule(list_id=lists, with_tasks=st.booleans())
    def delete_list(self, list_id: str, *, with_tasks: bool) -> None:
        def act() -> None:
            self.write(lambda work: ListService(work).delete(list_id, with_tasks=with_tasks))

        try:
            self.model.delete_list(list_id, with_tasks=with_tasks)
        except RefusedError as error:
            self.expect(str(error), act)
            return
        act()

    @rule(
        target=tasks,
        fields=CREATE,
        parent=st.none() | tasks,
        within=st.none() | lists,
    )
    def create(self, fields: Image, parent: str | None, within: str | None) -> str:
        fields = {**fields, "parent_id": parent, "list_id": within}

        def act() -> bytes:
            return self.write_tasks(lambda tasks: tasks.create(render(fields))).body

        try:
            task = self.model.create(fields)
        except RefusedError as error:
            self.expect(str(error), act)
            return str(uuid.uuid4())
        return self.take(task, act())

    @rule(fields=CREATE, again=RULES, tags=TAG_LISTS)
    def go_on(self, fields: Image, again: str, tags: list[str]) -> None:
        task_id = self.create({**fields, "recurrence": again, "tags": tags}, None, None)
        self.complete(task_id, done=True)

    @rule(task_id=tasks, changes=UPDATE, version=st.none() | st.integers(1, 3))
    def update(self, task_id: str, changes: Image, version: int | None) -> None:
        changes = self.keep_rule(task_id, changes)
        expected = None if version is None else frozenset({version})

        def act() -> bytes:
            return self.write_tasks(
                lambda tasks: tasks.update(task_id, render(changes), expected)
            ).body

        self.change(act, lambda: self.model.update(task_id, changes, version))

    def keep_rule(self, task_id: str, changes: Image) -> Image:
        """Send the rule with a switch to completion.

        Otherwise the service forgets the days that a former due wrote into it, which the model does
        not remember; test_recurrence.py has these.
        """
        task = self.model.tasks.get(task_id)
        if task is None or changes.get("recurrence_from") != "completion":
            return changes
        return {"recurrence": task["recurrence"], **changes}

    @rule(task_id=tasks, parent=st.none() | tasks, within=st.none() | lists, how=st.integers(0, 2))
    def move(self, task_id: str, parent: str | None, within: str | None, how: int) -> None:
        whole = {"parent_id": parent, "list_id": within}
        changes: Any = (whole, {"parent_id": parent}, {"list_id": within})[how]

        def act() -> bytes:
            return self.write_tasks(lambda tasks: tasks.update(task_id, changes)).body

        self.change(act, lambda: self.model.update(task_id, changes, None))

    @rule(task_id=tasks, done=st.booleans())
    def complete(self, task_id: str, *, done: bool) -> None:
        def act() -> bytes:
            if done:
                return self.write_tasks(lambda tasks: tasks.complete(task_id)).body
            return self.write_tasks(lambda tasks: tasks.reopen(task_id)).body

        self.change(act, lambda: self.model.update(task_id, {"is_completed": done}, None))

    def change(self, act: Callable[[], bytes], follow: Callable[[], Image | None]) -> None:
        try:
            following = follow()
        except RefusedError as error:
            self.expect(str(error), act)
            return
        changed = read(act())
        assert changed == self.model.tasks[str(changed["id"])]
        self.take_next(following)

    @rule(task_id=tasks, version=st.none() | st.integers(1, 3))
    def delete(self, task_id: str, version: int | None) -> None:
        expected = None if version is None else frozenset({version})

        def act() -> None:
            self.write_tasks(lambda tasks: tasks.delete(task_id, expected))

        try:
            self.model.delete(task_id, version)
        except RefusedError as error:
            self.expect(str(error), act)
            return
        act()

    @rule(task_id=consumes(tasks))
    def delete_for_good(self, task_id: str) -> None:
        self.delete(task_id, None)

    @rule(tag=TAG, name=st.none() | TAG)
    def replace_tag(self, tag: str, name: str | None) -> None:
        def act() -> int:
            if name is None:
                return self.write(lambda work: TagService(work).delete(tag))
            return self.write(lambda work: TagService(work).rename(tag, name))

        try:
            number = self.model.replace_tag(tag, name)
        except RefusedError as error:
            self.expect(str(error), act)
            return
        assert act() == number

    @rule(operations=OPERATIONS)
    def batch(self, operations: list[dict[str, Any]]) -> None:
        known = [*self.model.tasks, str(uuid.uuid4())]
        for operation in operations:
            if "number" in operation:
                number = operation.pop("number")
                operation["id"] = known[number] if number < len(known) else known[-1]
            if operation["op"] == "update":
                operation["task"] = self.keep_rule(operation["id"], operation["task"])
        asked: Any = [
            {**each, "task": render(each["task"])} if "task" in each else each
            for each in operations
        ]
        model, failed = self.model.copy(), []
        made: list[Image] = []
        for index, each in enumerate(operations):
            try:
                made += follow_operation(model, each)
            except RefusedError:
                failed.append(f"operations.{index}")

        def act() -> bytes:
            return self.write_tasks(lambda tasks: run_batch(tasks, asked))

        if failed:
            with pytest.raises(BatchFailedError) as caught:
                act()
            errors = caught.value.errors or ()
            assert (
                sorted({".".join(str(each["field"]).split(".")[:2]) for each in errors}) == failed
            )
            return
        results = orjson.loads(act())["results"]
        assert [each["op"] for each in results] == [each["op"] for each in operations]
        self.model = model
        new = [image for task_id, image in self.stored().items() if task_id not in model.tasks]
        # Their ids tell the order that they were made in.
        new.sort(key=lambda image: str(image["id"]))
        assert len(new) == len(made)
        for task, image in zip(made, new, strict=True):
            self.take(task, orjson.dumps(image))

    @rule(task_id=st.uuids().map(str), version=st.none() | st.integers(1, 3))
    def touch_what_is_not_there(self, task_id: str, version: int | None) -> None:
        self.update(task_id, {"title": "x"}, version)
        self.delete(task_id, version)

    # Questions

    @precondition(lambda self: self.model.tasks)
    @rule(
        asked=QUESTIONS,
        words=st.none() | st.none() | TEXTS,
        cut=st.integers(1, 9),
        since=st.none() | st.integers(0, 40 * 24 * 60),
        place=st.sampled_from(("any", "any", "none", "list", "parent")),
        number=st.integers(0, 20),
        limit=st.sampled_from((1, 2, 3, 100)),
        fields=st.sampled_from((TASK_FIELDS, ("id",), ("id", "title"))),
    )
    def ask(
        self,
        asked: Question,
        words: str | None,
        cut: int,
        since: int | None,
        place: str,
        number: int,
        limit: int,
        fields: tuple[str, ...],
    ) -> None:
        if words is not None:
            asked = replace(asked, words=words[:-cut] or words)
        if since is not None:
            asked = replace(asked, updated_since=self.model.now - timedelta(minutes=since))
        if place == "none":
            asked = replace(asked, list_id="none")
        elif place == "list" and self.model.lists:
            known = list(self.model.lists)
            asked = replace(asked, list_id=known[number % len(known)])
            if number % 3 == 0:
                asked = replace(asked, sort="position")
        elif place == "parent":
            known = list(self.model.tasks)
            asked = replace(asked, parent_id=known[number % len(known)])
        values: dict[str, Any] = {
            name: getattr(asked, name) for name in Question.__dataclass_fields__ if name != "words"
        }
        query = tasks_query.Query(**values, search=asked.words, limit=limit, fields=fields)
        if asked.due == "none" and (asked.due_from or asked.due_to):
            self.expect("validation-failed", lambda: self.pages(query))
            return
        found = self.pages(query)
        images = [orjson.loads(each) for each in found]
        assert [image["id"] for image in images] == self.model.find(asked), asked
        assert {tuple(image) for image in images} <= {fields}

    @precondition(lambda self: self.model.tasks)
    @rule(words=TEXTS)
    def search_by_relevance(self, words: str) -> None:
        query = tasks_query.Query(search=words, sort="relevance", limit=100)
        found = [orjson.loads(each)["id"] for each in self.pages(query)]

        assert sorted(found) == sorted(self.model.find(Question(words=words)))


def follow_operation(model: Model, operation: dict[str, Any]) -> list[Image]:
    """Do one operation of a batch to a model; return the tasks that are new with it."""
    expected = operation.get("if_match")
    match operation["op"]:
        case "create":
            return [model.create(operation["task"])]
        case "delete":
            model.delete(operation["id"], expected)
            return []
        case "update":
            following = model.update(operation["id"], operation["task"], expected)
        case op:
            done = {"is_completed": op == "complete"}
            following = model.update(operation["id"], done, expected)
    return [] if following is None else [following]


@pytest.mark.longer(EXAMPLES)
def test_whatever_is_done_services_model_and_journal_agree(world: World) -> None:
    run_state_machine_as_test(
        lambda: Machine(world),  # type: ignore[arg-type]
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # Shrinking takes longer than a test may.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
