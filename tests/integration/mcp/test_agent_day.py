"""A day of an agent through the official SDK, with a connection that is lost."""

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from deploy.bootstrap import venv
from tests.integration.mcp.loopback import make_front, open_loopback
from tests.integration.service import Service, call_admin
from tests.integration.users import LISTS, TASKS, Person, read

DAY = Path(__file__).with_name("agent_day.py")
MODES = {"legacy": "2025-11-25", "auto": "2026-07-28"}
MARK = b'"idempotency_key":"lost"'
SCOPES = ["read", "write", "delete"]
SERIES: dict[str, Any] = {
    "due_at": "2027-03-01T15:30:00+00:00",
    "due_zone": "Europe/London",
    "recurrence": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO",
    "reminders": [15],
}


class LossyProxy:
    """A TCP proxy that loses the response to the first request with a mark."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.lost = 0

    def run(self) -> None:
        """Accept connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            is_marked = threading.Event()
            back = threading.Thread(target=self._answer, args=(server, client, is_marked))
            back.start()
            sent = b""
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    sent = (sent + data)[-65536 - len(MARK) :]
                    if not self.lost and MARK in sent.replace(b": ", b":"):
                        is_marked.set()
                    server.sendall(data)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _answer(
        self, server: socket.socket, client: socket.socket, is_marked: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if is_marked.is_set():
                    # The request was carried out; nobody hears of it.
                    self.lost += 1
                    break
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def open_proxy(service: Service) -> Iterator[LossyProxy]:
    with open_loopback(make_front(service)) as address:
        proxy = LossyProxy(address)
        thread = threading.Thread(target=proxy.run)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.close()
            thread.join()


def spend_day(address: str, token: str, mode: str) -> dict[str, Any]:
    result = subprocess.run(
        [str(venv.ensure("mcp")), str(DAY), mode, f"{address}/mcp", token],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def find_state(person: Person) -> dict[str, Any]:
    """Return the tasks without what each change of them changes."""
    items = read(person.http.get(f"{TASKS}?limit=100"))["items"]
    unsaid = ("version", "updated_at")
    return {
        each["id"]: {name: value for name, value in each.items() if name not in unsaid}
        for each in items
    }


@pytest.mark.longer(60)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("is_bound", [False, True], ids=["all-lists", "one-list"])
def test_a_day_of_an_agent_is_undone_as_a_whole(
    service: Service,
    alice: Person,
    mode: str,
    is_bound: bool,  # noqa: FBT001 - a parameter
) -> None:
    read(alice.http.patch("/api/v1/me", json={"zone": "America/New_York"}))
    office = alice.create(LISTS, name="Office")["id"]
    alice.create(TASKS, title="Secret plan", due_date="2026-01-01")
    alice.create(TASKS, title="Old note", list_id=office)
    alice.create(TASKS, title="Team meeting", list_id=office, **SERIES)
    before = find_state(alice)
    options = {"list_id": office} if is_bound else {}
    token = alice.create("/api/v1/tokens", name="day", scopes=SCOPES, **options)

    with open_proxy(service) as proxy:
        found = spend_day(proxy.address, token["token"], mode)

    assert found["version"] == MODES[mode]
    assert found["morning"]["zone"] == "America/New_York"
    assert ("Secret plan" in json.dumps(found)) is not is_bound
    check_week(found["added"], "Office" if is_bound else None)
    check_series(found)
    assert (found["planned"], found["deleted"]) == ("planned", 1)
    assert (proxy.lost, found["lost"], found["replayed"]) == (1, True, True)
    evening = [task["title"] for task in found["evening"]["tasks"]]
    assert evening.count("Buy milk") == 1
    assert len(evening) == 30 + 1 + 1 + (not is_bound)
    # What was there, and the moved, the completed and the deleted task as they were before.
    assert find_state(alice) == before
    assert found["undone"]["not_undone"] == []
    check_journal(service, alice, token["id"], office if is_bound else None)


def check_week(added: list[dict[str, Any]], list_name: str | None) -> None:
    """Check some of the thirty tasks, as quick add reads them."""
    assert len(added) == 30
    tasks = {task["title"]: task for task in added}
    assert {task.get("list") for task in added} == {list_name}
    assert "T09:15:00-0" in tasks["Stand-up"]["due_at"]
    assert tasks["Stand-up"]["repeats"] == "every weekday"
    assert tasks["Review the budget"]["tags"] == ["finance"]
    assert tasks["Write the weekly report"]["reminders"] == [30]
    assert "due_date" not in tasks["Repair sun lamp"]
    assert {'Read "Tomorrow and Tomorrow"', "Release version 1.2"} <= tasks.keys()


def check_series(found: dict[str, Any]) -> None:
    """Check that a task of a series was moved without its rule and its time of day."""
    moved, (following,) = found["moved"], found["next"]
    assert moved["repeats"] == found["before"]["repeats"] == following["repeats"]
    assert moved["reminders"] == SERIES["reminders"]
    for task, weekday in ((moved, "Thu"), (following, "Mon")):
        at = datetime.fromisoformat(task["due_at"])
        assert (at.strftime("%a"), f"{at:%H:%M}") == (weekday, "15:30")
        assert at.utcoffset() == at.replace(tzinfo=ZoneInfo("Europe/London")).utcoffset()


def check_journal(service: Service, alice: Person, token_id: str, list_id: str | None) -> None:
    """Check who made which changes, and the chain."""
    page = read(alice.http.get(f"/api/v1/journal?limit=100&token_id={token_id}"))
    assert page["next_before"] is None
    entries = page["items"]
    assert {(each["actor"], each["agent"]) for each in entries} == {(alice.name, "day/1")}
    undo = {each["run_id"] for each in entries if each["operation"] == "restore"}
    assert {each["run_id"] for each in entries} - undo == {"plan-the-week"}
    assert len(undo) == 1
    if list_id is not None:
        assert {each["list_id"] for each in entries} == {list_id}
    done = call_admin(service.environment, "verify", "--owner", alice.name, "--state")
    assert done.returncode == 0, done.stderr + done.stdout
