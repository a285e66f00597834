"""The application in this process with an assistant of the test, and clients that may leave."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from starlette.types import ASGIApp, Message

from tests.integration.assistant.test_conversations import read_events
from todo.api.responses import StoredResponse
from todo.api.write import execute_write
from todo.app import create_app
from todo.assistant.turn.answer import EarlierMessage, Events, ToolUse, TurnAnswer
from todo.auth.tokens import TokenVerifier
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.core.errors import RateLimitedError
from todo.core.timestamps import format_timestamp
from todo.db.statement import Statement
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

SECRET = b"a secret of these tests of 32+ bytes"
USER = "alice"
ASSISTANT = "/api/v1/assistant"
CONVERSATIONS = "/api/v1/conversations"
STREAM = {"accept": "text/event-stream"}


@dataclass(frozen=True)
class Call:
    """Arguments of a call of the assistant."""

    caller: Caller
    message: str
    history: tuple[EarlierMessage, ...]
    open_plan: str | None
    events: Events
    deadline_s: float
    runs: tuple[str, ...]


Script = Callable[[Call], Awaitable[TurnAnswer]]
Play = Callable[..., None]
"""Runs a test in an application, which has the options that it is given by name."""


def say(call: Call, text: str = "Done.", **more: Any) -> TurnAnswer:  # noqa: ANN401 - of any field
    """Return an answer."""
    fields: dict[str, Any] = {
        "tool_calls": (),
        "run_id": call.caller.run_id,
        "changed": False,
        "plan": None,
        "degraded": None,
        "prompt_tokens": 0,
        "output_tokens": 0,
    }
    return TurnAnswer(text, **{**fields, **more})


@dataclass
class ScriptedAssistant:
    """An assistant that does what a test says, and counts how its turns end.

    Attributes:
        script: What the test says.
        calls: All turns.
        began: The turns that a test has not waited for.
        refusal: Raised before a new message is stored.
    """

    script: Script
    calls: list[Call] = field(default_factory=list)
    running: int = 0
    cancelled: int = 0
    began: "asyncio.Queue[Call]" = field(default_factory=asyncio.Queue)
    refusal: RateLimitedError | None = None

    def check(self, _caller: Caller, _message: str) -> None:
        if self.refusal is not None:
            raise self.refusal

    def render_left(self, _caller: Caller) -> dict[str, str]:
        return {"RateLimit": '"assistant-turns";r=49;t=2'}

    async def run(
        self,
        caller: Caller,
        message: str,
        history: Sequence[EarlierMessage],
        open_plan: str | None,
        events: Events,
        deadline_s: float,
        runs: Sequence[str] = (),
    ) -> TurnAnswer:
        call = Call(caller, message, tuple(history), open_plan, events, deadline_s, tuple(runs))
        self.calls.append(call)
        self.running += 1
        self.began.put_nowait(call)
        try:
            return await self.script(call)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def close(self) -> None:
        """Close nothing."""


class Exchange:
    """One request in the application; its client may leave."""

    def __init__(
        self,
        app: ASGIApp,
        method: str,
        path: str,
        body: object,
        headers: dict[str, str],
    ) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        fields = {"content-type": "application/json", "content-length": str(len(content))}
        target, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.1"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in {**fields, **headers}.items()],
            "client": None,
            "server": None,
            "state": {},
        }
        self._incoming: list[Message] = [
            {"type": "http.request", "body": content, "more_body": False}
        ]
        self._gone = asyncio.Event()
        self._progress = asyncio.Condition()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content = b""
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._incoming:
            return self._incoming.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            fields = [(k.decode(), v.decode()) for k, v in message["headers"]]
            self.headers = {
                name: ", ".join(value for key, value in fields if key == name) for name, _ in fields
            }
        else:
            self.content += message.get("body", b"")
        async with self._progress:
            self._progress.notify_all()

    async def leave(self) -> None:
        """Close the connection, and wait until the application has noticed."""
        self._gone.set()
        await self.task

    async def wait_for(self, part: bytes) -> None:
        """Wait until a part of the response has arrived."""
        async with self._progress:
            await self._progress.wait_for(lambda: part in self.content)

    async def read(self, status: int = 200) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of the response, which must have a status."""
        await self.task
        assert self.status == status, self.content
        return orjson.loads(self.content) if self.content else None

    async def read_events(self) -> list[tuple[str, Any]]:
        """Return the events of the response."""
        await self.task
        assert self.status == 200, self.content
        return read_events(self.content.decode())


class TurnWorld:
    """The application, its scripted assistant, and what is open in it."""

    def __init__(self, url: str, **options: Any) -> None:  # noqa: ANN401 - options
        tokens = TokenVerifier(SECRET)
        self.app = create_app(Settings(database_url=url, **options), tokens)
        self.state: Any = self.app.state
        self._tokens = tokens
        self._issued: dict[str, str] = {}
        self.assistant = ScriptedAssistant(_help)
        self.state.assistant = self.assistant  # type: ignore[assignment]  # a fake

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - JSON
        *,
        user: str = USER,
        token: str = "",
        **headers: str,
    ) -> Exchange:
        """Start a request."""
        bearer = token or self._find_token(user)
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        named["authorization"] = f"Bearer {bearer}"
        return Exchange(self.app, method, path, body, named)

    def _find_token(self, user: str) -> str:
        """Return the token of a user, always the same: the application keeps those it has seen."""
        if user not in self._issued:
            self._issued[user] = self._tokens.issue(user, lifetime_s=24 * 3600)
        return self._issued[user]

    def send(self, message: str = "do it", **more: Any) -> Exchange:  # noqa: ANN401 - body and headers
        """Start a request to the assistant; names with capitals are those of headers."""
        fields = {name: value for name, value in more.items() if name == "conversation_id"}
        rest = {name: value for name, value in more.items() if name not in fields}
        return self.call("POST", ASSISTANT, {"message": message, **fields}, **rest)

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Read something."""
        return await self.call("GET", path).read()

    async def read_last(self) -> list[dict[str, Any]]:
        """Return the messages of the newest conversation, oldest first."""
        newest = (await self.get(CONVERSATIONS))["items"][0]["id"]
        messages: list[dict[str, Any]] = (await self.get(f"{CONVERSATIONS}/{newest}"))["messages"]
        return messages[::-1]

    async def add_task(self, call: Call, title: str = "made") -> ToolUse:
        """Change something in the run of a turn, as a tool does."""

        async def act(work: UnitOfWork) -> StoredResponse:
            return StoredResponse(201, (await TaskService(work).create({"title": title})).body)

        stored = await execute_write(self.state, call.caller, act)
        return ToolUse(
            "add_tasks", {"title": title}, {"id": orjson.loads(stored.body or b"")["id"]}
        )

    async def run_sql(self, statement: str, *times: datetime) -> None:
        """Change what is stored; a time is written as the database does."""
        shown = [format_timestamp(each) for each in times]
        async with self.state.database.unit_of_work() as session:
            await session.run((Statement(text(statement.format(*shown))), {}))
            await session.commit()

    def count_open(self) -> tuple[int, int, int, int]:
        """Return the turns, connections, waiting requests and streams that are open."""
        metrics = self.state.metrics.render(ready=True).decode()
        (streams,) = [
            line
            for line in metrics.splitlines()
            if line.startswith('todo_streams{kind="assistant"}')
        ]
        database = self.state.database
        taken = database.pool.checkedout()
        return self.assistant.running, taken, database.waiters, int(float(streams.split()[1]))

    async def wait_for_rest(self) -> None:
        """Wait until nothing is open: a connection is returned by a task of its own."""
        for _ in range(6000):
            if self.count_open() == (0, 0, 0, 0):
                return
            await asyncio.sleep(0.01)
        assert self.count_open() == (0, 0, 0, 0)


def follow(world: TurnWorld, scripts: Sequence[Callable[[Call], TurnAnswer]]) -> None:
    """Answer one turn after the other by these."""

    async def script(call: Call) -> TurnAnswer:
        return scripts[len(world.assistant.calls) - 1](call)

    world.assistant.script = script


async def _help(call: Call) -> TurnAnswer:
    await call.events.text("Done.")
    return say(call)


@contextlib.asynccontextmanager
async def open_turn_world(url: str, **options: Any) -> AsyncIterator[TurnWorld]:  # noqa: ANN401
    """Use an application on a migrated database; nothing may be left of it at the end."""
    before = asyncio.all_tasks()
    world = TurnWorld(url, **options)
    async with world.app.router.lifespan_context(world.app):
        yield world
        await world.state.turns.close()
        await world.wait_for_rest()
    left = asyncio.all_tasks() - before
    assert {task for task in left if not task.done()} == set()
