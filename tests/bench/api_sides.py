"""The two services that `build.py bench api` compares: what they are asked, and what it costs."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

from tests.bench import api_data
from tests.bench.api_load import Outcome, Plan
from tests.integration.service import SECRET
from todo.auth.tokens import TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Runner = Callable[[Sequence[str], str], str]
    """Runs a program of `tests/bench` beside the services and returns its output.

    Its arguments are the file's name with the program's own arguments, and the standard input.
    """

OPERATIONS = ("list", "read", "create", "search")
BUFFERS = "128MB"
FILL_COUNT = api_data.OWNERS * api_data.TASKS_EACH
# Tasks of every owner, from all over the table.
SELECT_IDS = "SELECT owner, id::text FROM task ORDER BY md5(id::text) LIMIT 1000"
OUR_OPTIONS = {
    # Counted as always, and never met.
    "TODO_RATE_LIMIT_PER_MINUTE": "10000000",
}
_STATUS = {"create": 201}
_TOKEN_S = 7200
_WRITERS = 500
_REQUESTS = 1000
"""Different requests an operation; the load generator starts over after the last."""


@dataclasses.dataclass(frozen=True)
class Api:
    """How a service spells the operations.

    Attributes:
        tasks_path: Path of its tasks.
        search: Name of the parameter that searches.
        columns: Column of its table -> SQL expression, as in `api_data.COLUMNS`.
    """

    tasks_path: str
    search: str
    columns: dict[str, str]

    @property
    def fill(self) -> str:
        """The statement that makes its tasks."""
        owners = f"'owner-' || n % {api_data.OWNERS}"
        return api_data.render_insert(self.columns, owners, first=0, count=FILL_COUNT)


OURS = Api("/api/v1/tasks", "q", api_data.COLUMNS)
_PEER_PRIORITY = {"priority": "(ARRAY['none', 'low', 'medium', 'high'])[1 + m % 4]"}
_NOT_OF_PEER = {"due_key", "words"}
PEER = Api(
    "/tasks",
    "search",
    {
        name: expression
        for name, expression in (api_data.COLUMNS | _PEER_PRIORITY).items()
        if name not in _NOT_OF_PEER
    },
)


@dataclasses.dataclass(frozen=True)
class Side:
    """One service under load.

    Attributes:
        api: How it spells the operations.
        socket: Path of its Unix socket, as the load generator sees it.
        server: Process ID of its one process.
        postmaster: Process ID of the main process of its PostgreSQL.
        ids: Some tasks: their owner and ID.
        run: Starts the programs that load and measure it.
    """

    api: Api
    socket: str
    server: int
    postmaster: int
    ids: list[tuple[str, str]]
    run: Runner

    def load(self, operation: str, connections: int, seconds: float, count: int) -> Outcome:
        """Send an operation's requests until the time or the number of requests is reached."""
        plan = Plan(
            socket=self.socket,
            requests=[self._request(operation, number) for number in range(_REQUESTS)],
            status=_STATUS.get(operation, 200),
            connections=connections,
            seconds=seconds,
            count=count,
        )
        found = json.loads(self.run(["api_load.py"], json.dumps(dataclasses.asdict(plan))))
        # What the database still does about the last requests is theirs too.
        time.sleep(0.05)
        return Outcome(**found)

    def cpu_s(self) -> tuple[float, float]:
        """CPU time of the service and of its database's processes so far."""
        server, database = json.loads(
            self.run(["cpu.py", str(self.server), str(self.postmaster)], "")
        )
        return server, database

    def _request(self, operation: str, number: int) -> tuple[str, dict[str, Any]]:
        """One request, and what its answer must hold."""
        owner, task_id = self.ids[number % len(self.ids)]
        if operation == "list":
            wanted = {"length": 20}
            return self._render("GET", "?limit=20", owner), wanted
        if operation == "read":
            return self._render("GET", f"/{task_id}", owner), {"id": task_id}
        if operation == "search":
            word = api_data.WORDS[number % len(api_data.WORDS)]
            return self._render("GET", f"?limit=20&{self.api.search}={word}", owner), {"word": word}
        title = f"Task {number}: {api_data.WORDS[number % len(api_data.WORDS)]} and so on"
        body = {"title": title, "description": "What has to be known of it before one begins."}
        # Users of their own, more than connections: the lists that are read stay as long as they
        # are, and who writes seldom meets a write of the same user.
        writer = f"writer-{number % _WRITERS}"
        return self._render("POST", "", writer, json.dumps(body)), {"title": title}

    def _render(self, method: str, rest: str, owner: str, body: str = "") -> str:
        token = TokenVerifier(SECRET.encode()).issue(owner, lifetime_s=_TOKEN_S)
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return (
            f"{method} {self.api.tasks_path}{rest} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n"
            f"User-Agent: bench\r\nAuthorization: Bearer {token}\r\n"
            f"{length if body else ''}\r\n{body}"
        )
