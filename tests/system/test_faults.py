"""Healing after faults, without loss of acknowledged writes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.machine_clock import CLOCK
from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from tests.system.stack_in_lab import Stack


@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_a_dead_or_hanging_server_is_replaced(stack: Stack, signal: str) -> None:
    before = stack.server_pid()
    stack.signal_server(signal)

    def replaced() -> bool:
        found = stack.podman(
            "container", "inspect", "--format={{.State.Pid}}", "todo-backend", check=False
        )
        fresh = found.returncode == 0 and found.stdout.strip() not in ("0", str(before))
        return fresh and stack.ready().status_code == httpx.codes.OK

    wait_until(replaced, 300, "served by a new process")
    assert int(stack.show("todo-backend", "NRestarts")) > 0


def test_a_hanging_database_is_replaced(stack: Stack) -> None:
    before = stack.inspect("todo-db")["State"]["Pid"]
    stack.lab.run(["kill", "-s", "STOP", str(before)], user="root")

    def replaced() -> bool:
        found = stack.podman(
            "container", "inspect", "--format={{.State.Pid}}", "todo-db", check=False
        )
        fresh = found.returncode == 0 and found.stdout.strip() not in ("0", str(before))
        return fresh and stack.ready().status_code == httpx.codes.OK

    wait_until(replaced, 300, "served by a new process")


# A start that takes far longer than a hang may last. The image's own entry point is `-m todo`.
SLOW_START = """
[Container]
Entrypoint=/usr/bin/python3
Exec=-c "import runpy,time;time.sleep(20);runpy.run_module('todo',run_name='__main__')"
"""


def test_a_slow_start_is_not_ended_by_the_health_check(stack: Stack) -> None:
    with stack.drop_in("todo-backend.container", SLOW_START):
        stack.systemctl("restart", "todo-backend")
        stack.wait_ready()
        assert stack.show("todo-backend", "NRestarts") == "0"


BAD_SETTING = "[Container]\nEnvironment=TODO_LOG_LEVEL=loud\n"


def test_a_wrong_setting_ends_at_once_for_those_who_wait_as_well(stack: Stack) -> None:
    url = f"http://127.0.0.1:{stack.port}/livez"
    with stack.drop_in("todo-backend.container", BAD_SETTING):
        stack.systemctl("stop", "todo-backend")
        # Who starts it by a connection, and waits while it fails, and who comes later.
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                httpx.get(url, timeout=300)
        wait_until(
            lambda: stack.show("todo-backend.socket", "ActiveState") == "inactive", 300, "closed"
        )
        assert stack.show("todo-backend", "ActiveState") == "failed"
        assert stack.show("todo-backend", "ExecMainStatus") == "78"
        assert stack.show("todo-backend", "NRestarts") == "0"
    stack.systemctl("start", "todo-backend")
    stack.wait_ready()
    assert stack.show("todo-backend.socket", "ActiveState") == "active"


def test_a_stopped_database_means_503_then_recovery_without_a_restart(stack: Stack) -> None:
    with stack.client("alice") as alice:
        task = alice.post("/api/v1/tasks", json={"title": "before"}).json()
        pid = stack.server_pid()
        stack.systemctl("stop", "todo-db")
        for _ in range(10):
            started = CLOCK.now()
            answer = alice.get("/api/v1/tasks")
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["content-type"] == "application/problem+json"
            assert CLOCK.now() - started < 5
        assert httpx.get(f"http://127.0.0.1:{stack.port}/livez").status_code == httpx.codes.OK
        assert stack.ready().status_code == httpx.codes.SERVICE_UNAVAILABLE
        stack.systemctl("start", "todo-db")
        path = f"/api/v1/tasks/{task['id']}"
        wait_until(lambda: alice.get(path).status_code == httpx.codes.OK, 300, "recovered")
    assert pid == stack.server_pid()
    assert stack.show("todo-backend", "ActiveState") == "active"


@pytest.mark.parametrize("mode", ["fresh", "keepalive"])
def test_a_restart_loses_no_request(stack: Stack, mode: str) -> None:
    with stack.load(mode, 10) as load:
        time.sleep(2)
        stack.systemctl("restart", "todo-backend")
    allowed = {"200"} if mode == "fresh" else {"200", "idle close"}
    assert allowed >= set(load["outcomes"]), load
    assert load["outcomes"]["200"] > 500


class CarefulCreator:
    """Creates tasks from many threads; after a lost answer it looks before it tries again."""

    def __init__(self, url: str, token: str, titles: list[str]) -> None:
        self.acknowledged: set[str] = set()
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pending = queue.SimpleQueue[str]()
        for title in titles:
            self._pending.put(title)

    def run(self) -> None:
        """Create pending titles until none is left."""
        with self.client() as client:
            while not self._pending.empty():
                with contextlib.suppress(queue.Empty):
                    self._create(client, self._pending.get_nowait())
                    time.sleep(0.15)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, headers=self._headers, timeout=120)

    def stored(self, client: httpx.Client) -> list[str]:
        """Every title that the server has, over all pages."""
        found: list[str] = []
        query: dict[str, str | int] = {"limit": 100}
        while True:
            page = client.get("/api/v1/tasks", params=query).raise_for_status().json()
            found += [item["title"] for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def _create(self, client: httpx.Client, title: str) -> None:
        there = False
        while not there:
            with contextlib.suppress(httpx.HTTPError):
                answer = client.post("/api/v1/tasks", json={"title": title})
                if answer.status_code == httpx.codes.CREATED:
                    self.acknowledged.add(title)
                    return
            there = title in self._stored_patiently(client)

    def _stored_patiently(self, client: httpx.Client) -> list[str]:
        while True:
            try:
                return self.stored(client)
            except httpx.HTTPError:
                time.sleep(0.1)


def test_every_acknowledged_task_survives_three_kills_once(stack: Stack) -> None:
    titles = [f"kill-{number}" for number in range(200)]
    creator = CarefulCreator(f"http://127.0.0.1:{stack.port}", stack.token("durable"), titles)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(creator.run) for _ in range(8)]
        for kill in range(1, 4):
            wait_until(lambda due=40 * kill: len(creator.acknowledged) > due, 300, "creating")  # type: ignore[misc]
            stack.signal_server("KILL")
        for worker in workers:
            worker.result(timeout=1200)
    stack.wait_ready()
    with creator.client() as client:
        found = creator.stored(client)
    assert sorted(found) == sorted(titles)
    assert len(creator.acknowledged) > 150


def test_a_reboot_brings_everything_back_with_its_data(stack: Stack) -> None:
    with stack.client("alice") as alice:
        task = alice.post("/api/v1/tasks", json={"title": "still here"}).json()
        stack.lab.reboot()
        stack.wait_ready()
        path = f"/api/v1/tasks/{task['id']}"
        assert alice.get(path).json()["title"] == "still here"
