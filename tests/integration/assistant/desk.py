"""The assistant in this process, on a migrated database, without HTTP."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.integration.service import SECRET, call_admin, make_environment, open_folder
from tests.integration.worlds import find_url
from todo.account.service import AccountService
from todo.api.responses import StoredResponse
from todo.api.write import execute_write
from todo.app import create_app
from todo.assistant.model.client import (
    Mode,
    ModelAnswer,
    ModelClient,
    ModelError,
    ModelRequest,
    ModelToolCall,
    OnText,
    TokenCount,
)
from todo.assistant.turn.answer import EarlierMessage, ToolUse, TurnAnswer
from todo.assistant.turn.runner import Assistant
from todo.auth.tokens import TokenVerifier
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.core.domain import ShareAccess
from todo.journal.repository import Filter, View, read_history
from todo.lists.service import ListService
from todo.mcp.tool import ToolCall
from todo.mcp.tools import TOOLS
from todo.plans.repository import Plan, PlanRepository
from todo.tasks.query import Query, read_page
from todo.transfer.ical.importer import import_calendar
from todo.writes.unit_of_work import UnitOfWork

DEADLINE_S = 600
UNDECIDED = "hmm, my head is spinning"
"""Rules do not decide this."""
Reply = Callable[[ModelRequest], ModelAnswer]


def say(text: str, *calls: tuple[str, str]) -> ModelAnswer:
    """Return an answer of a model: its text, and calls with their arguments as text."""
    made = tuple(ModelToolCall(f"c{n}", name, args) for n, (name, args) in enumerate(calls))
    return ModelAnswer(text, made, 100, 10)


def choose(intent: str, *tasks: int, reply: str = "") -> ModelAnswer:
    """Return a decision of a model."""
    return say(orjson.dumps({"intent": intent, "tasks": tasks, "reply": reply}).decode())


class Model:
    """A model that does what a test says."""

    def __init__(self, mode: Mode, *replies: ModelAnswer | ModelError | Reply) -> None:
        """Answer with each of the replies, and with the last one from then on."""
        self.mode = mode
        self.requests: list[ModelRequest] = []
        self._replies = list(replies)

    async def get_mode(self, *, timeout_s: float | None = None) -> Mode:
        assert timeout_s is not None
        return self.mode

    async def ask(
        self,
        request: ModelRequest,
        on_text: OnText | None = None,
        *,
        timeout_s: float | None = None,
        used: TokenCount | None = None,
    ) -> ModelAnswer:
        assert timeout_s is not None
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, ModelError):
            raise reply
        answer = reply(request) if callable(reply) else reply
        if used is not None:
            used.prompt, used.output = answer.prompt_tokens, answer.output_tokens
        if on_text is not None and answer.text:
            await on_text(answer.text)
        return answer

    async def close(self) -> None:
        pass


class HangingModel(Model):
    """A model that never answers.

    Attributes:
        thinks: Is set from the first request on.
    """

    def __init__(self, mode: Mode) -> None:
        super().__init__(mode)
        self.thinks = asyncio.Event()

    async def ask(self, *_args: object, **_more: object) -> ModelAnswer:
        self.thinks.set()
        await asyncio.Event().wait()
        raise AssertionError


def note(answer: TurnAnswer) -> EarlierMessage:
    """Return an answer as the next turns of its conversation get it."""
    return EarlierMessage("assistant", answer.response, answer.run_id if answer.changed else None)


@dataclass
class Events:
    """Events of a streamed answer."""

    pieces: list[str] = field(default_factory=list)
    uses: list[ToolUse] = field(default_factory=list)

    async def text(self, piece: str) -> None:
        self.pieces.append(piece)

    async def tool(self, use: ToolUse) -> None:
        self.uses.append(use)


class Desk:
    """The assistant, and the accounts that it works on."""

    def __init__(self, runner: asyncio.Runner, settings: Settings) -> None:
        self.runner = runner
        self.settings = settings
        self.state = create_app(settings, TokenVerifier(SECRET.encode())).state

    def hire(self, model: ModelClient | None = None, **options: Any) -> Assistant:  # noqa: ANN401 - of settings
        """Return an assistant with a model and its own options."""
        self.state.settings = self.settings.model_copy(update=options)
        return Assistant(self.state, model)

    def ask(
        self,
        assistant: Assistant,
        caller: Caller,
        message: str,
        history: Sequence[EarlierMessage] = (),
        open_plan: str | None = None,
    ) -> TurnAnswer:
        """Send a message, and return the answer, of which every piece was sent."""
        events = Events()
        runs = [each.run_id for each in reversed(history) if each.run_id is not None]
        answer = self.runner.run(
            assistant.run(caller, message, history, open_plan, events, DEADLINE_S, runs)
        )
        assert "".join(events.pieces) == answer.response
        assert tuple(events.uses) == answer.tool_calls
        return answer

    def call(self, caller: Caller, tool: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Call a tool as an agent does."""
        (found,) = (each for each in TOOLS if each.name == tool)
        call = ToolCall(self.state, caller, datetime.now(UTC))
        return self.runner.run(found.run(call, arguments)).structured

    def add(self, caller: Caller, *titles: str, **fields: Any) -> list[str]:  # noqa: ANN401 - JSON
        """Add tasks and return their ids; the first one is the oldest."""
        return [
            self.call(caller, "add_tasks", tasks=[{"title": title, **fields}])["tasks"][0]["id"]
            for title in titles
        ]

    def import_calendar(self, caller: Caller, *parts: str) -> None:
        """Import tasks of a calendar file, each given by its properties."""
        body = "".join(f"BEGIN:VTODO\n{part}\nEND:VTODO\n" for part in parts)
        data = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{body}END:VCALENDAR\n"
        report = self.runner.run(
            import_calendar(
                self.state.database,
                data.replace("\n", "\r\n").encode(),
                caller.user,
                datetime.now(UTC),
                lambda _count: None,
                dry_run=False,
            )
        )
        assert not report.skipped, report

    def set_zone(self, caller: Caller, zone: str) -> None:
        """Set the time zone of an account."""

        async def act(work: UnitOfWork) -> StoredResponse:
            return StoredResponse(200, await AccountService(work).set_zone(zone))

        self.runner.run(execute_write(self.state, caller, act))

    def make_list(self, caller: Caller, name: str, share_with: str | None = None) -> str:
        """Create a list, and share it to be changed; return its id."""

        async def act(work: UnitOfWork) -> StoredResponse:
            lists = ListService(work)
            stored = await lists.create({"name": name})
            if share_with is not None:
                await lists.share(stored.id, share_with, "write")
            return StoredResponse(201, stored.body)

        made = self.runner.run(execute_write(self.state, caller, act))
        list_id: str = orjson.loads(made.body or b"")["id"]
        return list_id

    def share(self, caller: Caller, list_id: str, user: str, access: ShareAccess) -> None:
        """Share a list."""

        async def act(work: UnitOfWork) -> StoredResponse:
            await ListService(work).share(list_id, user, access)
            return StoredResponse(204)

        self.runner.run(execute_write(self.state, caller, act))

    def journal(self, user: str) -> list[dict[str, Any]]:
        """Return all entries of a journal, oldest first."""

        async def read() -> list[bytes]:
            found: list[bytes] = []
            before: int | None = None
            async with self.state.database.reading() as session:
                while True:
                    page, before = await read_history(session, View(user), Filter(), before, 100)
                    found += page
                    if before is None:
                        return found

        return [orjson.loads(entry) for entry in reversed(self.runner.run(read()))]

    def plan(self, caller: Caller, plan_id: str) -> Plan:
        """Return a plan that is there."""
        found = self.find_plan(caller, plan_id)
        assert found is not None
        return found

    def find_plan(self, caller: Caller, plan_id: str) -> Plan | None:
        """Return a plan, None without one."""

        async def read() -> Plan | None:
            async with self.state.database.reading() as session:
                return await PlanRepository(session, caller).find(plan_id)

        return self.runner.run(read())

    def tasks(self, caller: Caller, list_id: str | None = None) -> dict[str, dict[str, Any]]:
        """Return the tasks of a user or a list by title."""

        async def read() -> list[bytes]:
            async with self.state.database.reading() as session:
                query = Query(list_id=list_id, limit=1000)
                return (await read_page(session, caller, query, datetime.now(UTC))).items

        return {task["title"]: task for task in map(orjson.loads, self.runner.run(read()))}


@contextlib.contextmanager
def open_desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Open the assistant on an empty database of the kind that is the fixture's parameter."""
    with open_folder() as folder, asyncio.Runner() as runner:
        url = find_url(request, folder)
        environment = make_environment(folder, {"TODO_DATABASE_URL": url})
        assert call_admin(environment, "migrate").returncode == 0
        desk = Desk(runner, Settings(database_url=url))
        yield desk
        runner.run(desk.state.database.dispose())
