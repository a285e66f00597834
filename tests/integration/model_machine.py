"""The services and the model that they are compared with: one step, and what holds after each."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)
from sqlalchemy import text

from tests.integration.model import Image, Model
from tests.integration.model_fields import (
    BEGIN,
    read,
)
from tests.integration.model_journal import JOURNAL, JournalReader
from tests.integration.worlds import World
from todo.core.caller import Caller
from todo.core.errors import ProblemError
from todo.db.statement import Statement
from todo.tasks import query as tasks_query
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

Result = TypeVar("Result")

ACCOUNT = Statement(text("SELECT chain_id, seq, hash FROM account WHERE owner = :owner"))
TAGS = Statement(text("SELECT task_id, tag FROM task_tag WHERE owner = :owner"))
REMINDERS = Statement(
    text("SELECT task_id, CAST(fire_at AS TEXT) FROM reminder WHERE owner = :owner")
)
ALL = tasks_query.Query(limit=100)


class ModelMachine(RuleBasedStateMachine):
    """Does something to both, and compares them after each step."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        owner = f"user-{uuid.uuid4()}"
        self.caller = Caller(owner, agent="robot", run_id="run")
        self.model = Model(owner, BEGIN)
        self.journal = JournalReader()

    # Doing

    def write(self, act: Callable[[UnitOfWork], Awaitable[Result]]) -> Result:
        """Do something in one transaction."""
        return self.world.write(self.caller, self.model.now, act)

    def write_tasks(self, act: Callable[[TaskService], Awaitable[Result]]) -> Result:
        return self.write(lambda work: act(TaskService(work)))

    def expect(self, code: str, act: Callable[[], object]) -> None:
        with pytest.raises(ProblemError) as caught:
            act()
        assert caught.value.code == code

    def take(self, task: Image, image: bytes | str) -> str:
        """Add a task to the model under the id that it got; return the id."""
        made = read(image)
        task_id = str(made["id"])
        # By default it is after all others.
        if task["position"] is None:
            task["position"] = made["position"]
        self.model.add(task_id, task)
        return task_id

    def take_next(self, following: Image | None) -> None:
        """Add the next task of a series, which must be the one that is new."""
        new = [each for each in self.stored() if each not in self.model.tasks]
        assert len(new) == (0 if following is None else 1)
        if following is not None:
            self.model.add(new[0], following)

    def stored(self) -> dict[str, Image]:
        pages = self.pages(tasks_query.Query(limit=100))
        return {str(task["id"]): task for task in map(read, pages)}

    def pages(self, query: tasks_query.Query) -> list[bytes]:
        """Read page by page to the end."""
        pages = self.world.read_pages(self.caller, self.model.now, query)
        return [item for page in pages for item in page]

    # What always holds

    @invariant()
    def the_tasks_are_those_of_the_model(self) -> None:
        assert self.stored() == self.model.tasks

    @invariant()
    def the_journal_tells_what_there_is(self) -> None:
        owner = {"owner": self.caller.user}
        rows, accounts = self.read((JOURNAL, {**owner, "seq": self.journal.seq}), (ACCOUNT, owner))
        if not accounts:
            return
        chain_id, last, head = accounts[0]
        for row in rows:
            entry = self.journal.follow(uuid.UUID(str(chain_id)), row)
            assert (entry.actor, entry.agent) == (self.caller.user, "robot")
            assert datetime.fromisoformat(entry.at) == self.model.now
        assert (self.journal.seq, self.journal.head) == (last, bytes(head))
        stored = {str(orjson.loads(each)["id"]): each.decode() for each in self.pages(ALL)}
        assert {
            i: each for (kind, i), each in self.journal.told.items() if kind == "task"
        } == stored
        assert {i for kind, i in self.journal.told if kind == "list"} == set(self.model.lists)

    @invariant()
    def what_is_derived_follows(self) -> None:
        owner = {"owner": self.caller.user}
        tags, reminders = self.read((TAGS, owner), (REMINDERS, owner))
        wanted = {(i, tag) for i, task in self.model.tasks.items() for tag in task["tags"]}
        assert {(str(i), tag) for i, tag in tags} == wanted
        fire = {(str(i), datetime.fromisoformat(at)) for i, at in reminders}
        assert fire == {(i, at) for i, times in self.model.fire.items() for at in times}

    def read(self, *calls: tuple[Statement, dict[str, Any]]) -> list[list[tuple[Any, ...]]]:
        async def whole() -> list[list[tuple[Any, ...]]]:
            async with self.world.database.reading() as session:
                return await session.run(*calls)

        return self.world.run(whole)
