"""The database from PostgreSQL 17 to 18 and back, under load: nothing is lost and no read fails.

`UPGRADE_TASKS=1000000` measures it with as many tasks; the figures are printed.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.system.stack_in_lab import IMAGES, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.system.stack_in_lab import Stack

FOLDER = ".local/share/todo-backend/backup"
RECORD = ".local/state/todo-backend/upgrade-db.json"
TASKS = "/api/v1/tasks"
COUNT = int(os.environ.get("UPGRADE_TASKS", "2000"))
OWNERS = 20
# Killed while the new server is being filled, without a chance to undo anything.
KILLED_UPGRADE = """
setsid python3 /srv/todo-backend/build.py upgrade-db --no-rehearsal --no-lab &
until podman container exists todo-upgrade-copy; do
    kill -0 $! || exit 1
    sleep 0.1
done
kill -KILL -- -$!
wait $! || :
"""


# Killed as soon as backups are moved aside, or a moment later.
KILLED_SETTLE = f"""
count() {{ ls -d {FOLDER}/left.* | wc -l; }}
before=$(count)
setsid python3 /srv/todo-backend/build.py upgrade-db --no-rehearsal --no-lab {IMAGES} &
until [ "$(count)" -gt "$before" ]; do
    kill -0 $! || exit 1
    sleep 0.02
done
kill -KILL -- -$!
wait $! || :
"""


@pytest.fixture(scope="module")
def filled(installed: Stack) -> Iterator[Stack]:
    """The stack with many tasks; on its first volume, without them, afterwards."""
    before = find_volumes(installed)
    installed.lab.run(["tee", "tasks.json"], stdin=render_export(COUNT))
    installed.build("admin", "import", "tasks.json", "--no-lab")
    yield installed
    if find_major(installed) == "18":
        installed.build("upgrade-db", "--back", "--lose-writes", "--no-lab")
    installed.up("--no-backup")
    installed.podman("unshare", "rm", "-rf", FOLDER)
    for volume in find_volumes(installed) - before:
        installed.podman("volume", "rm", volume)
    installed.lab.run(["rm", "-f", "tasks.json"])


@dataclasses.dataclass
class Load:
    """Requests of one client, one after the other.

    Attributes:
        outcomes: Status code, with the code of an error, or the name of an exception -> how often.
        longest_s: The longest request.
        done: The titles of the tasks that were created.
        gap_s: The longest time between two successes.
    """

    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    longest_s: float = 0.0
    done: list[str] = dataclasses.field(default_factory=list)
    gap_s: float = 0.0


@contextlib.contextmanager
def load(stack: Stack, send: Callable[[httpx.Client, int, Load], httpx.Response]) -> Iterator[Load]:
    """Send requests, each on a connection of its own, until the block ends."""
    found, over = Load(), threading.Event()
    headers = {"Authorization": f"Bearer {stack.token('reader')}", "Connection": "close"}

    def run() -> None:
        number, last = 0, time.monotonic()
        url = f"http://127.0.0.1:{stack.port}"
        # A client that waits: slowness of this machine is not a failure.
        with httpx.Client(base_url=url, headers=headers, timeout=1800) as client:
            while not over.wait(0.02):
                started = time.monotonic()
                try:
                    response = send(client, number, found)
                    outcome = str(response.status_code)
                    outcome += f" {response.json()['code']}" if response.is_error else ""
                except httpx.HTTPError as error:
                    outcome = type(error).__name__
                now = time.monotonic()
                found.outcomes[outcome] += 1
                found.longest_s = max(found.longest_s, now - started)
                if outcome[:1] == "2":
                    found.gap_s, last = max(found.gap_s, now - last), now
                number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def read(client: httpx.Client, _number: int, _found: Load) -> httpx.Response:
    return client.get(TASKS, params={"limit": 1})


def write(client: httpx.Client, number: int, found: Load) -> httpx.Response:
    title = f"written {number}"
    response = client.post(TASKS, json={"title": title})
    if response.is_success:
        found.done.append(title)
    return response


def render_export(count: int) -> str:
    """An export with tasks of several owners."""
    lines: list[dict[str, Any]] = [{"todo-backend": {"format": 1}}]
    at = "2026-01-01T00:00:00Z"
    for owner in range(OWNERS):
        name = f"owner-{owner:02}"
        lines.append({"account": {"owner": name, "zone": "UTC"}})
        numbers = range(owner, count, OWNERS)
        lines += [{"task": render_task(number, name, at)} for number in numbers]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def render_task(number: int, owner: str, at: str) -> dict[str, Any]:
    nothing = (
        *("list_id", "parent_id", "due_date", "due_at", "due_zone", "recurrence"),
        *("completed_at", "previous_id"),
    )
    return {
        **dict.fromkeys(nothing),
        "id": f"00000000-0000-7000-9000-{number:012x}",
        "owner": owner,
        "title": f"chore c{number % 1000} of the week {number % 53}",
        "description": f"What has to be known about task {number}." if number % 2 else None,
        "priority": ("none", "low", "high")[number % 3],
        "tags": ["home", "garden"] if number % 3 == 0 else [],
        "recurrence_from": "schedule",
        "reminders": [],
        "position": float(number),
        "is_completed": False,
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }


def upgrade(stack: Stack, *words: str, check: bool = True) -> Any:  # noqa: ANN401
    options = [] if "--back" in words else [IMAGES]
    return stack.build("upgrade-db", "--no-lab", *options, *words, check=check)


def find_major(stack: Stack) -> str:
    shown = stack.podman("exec", "todo-db", "postgres", "--version").stdout
    found = re.search(r"PostgreSQL\) (\d+)\.", shown)
    assert found
    return found[1]


def find_volumes(stack: Stack) -> set[str]:
    listing = ("volume", "ls", "--filter=name=^todo-(data|upgrade)", "--format={{.Name}}")
    return set(stack.podman(*listing).stdout.split())


def find_titles(stack: Stack, user: str) -> set[str]:
    with stack.client(user) as client:
        titles, cursor = set(), None
        while True:
            query = {"limit": 100, **({"cursor": cursor} if cursor else {})}
            page = client.get(TASKS, params=query).json()
            titles |= {task["title"] for task in page["items"]}
            cursor = page.get("next_cursor")
            if not cursor:
                return titles


def find_lefts(stack: Stack) -> set[str]:
    return set(stack.podman("unshare", "find", FOLDER, "-name", "left.*").stdout.split())


def find_majors(stack: Stack, folder: str) -> set[str]:
    """The versions of the base backups in a folder."""
    search = ("find", f"{folder}/base", "-maxdepth", "2", "-name", "PG_VERSION")
    return set(stack.podman("unshare", *search, "-exec", "cat", "{}", ";").stdout.split())


def is_received(stack: Stack) -> bool:
    shown = json.loads(stack.build("status", "--json", "--no-lab", check=False).stdout)
    wal = shown["backup"]["wal"]
    return bool(wal and wal["receiving"])


def test_a_rehearsal_changes_nothing(filled: Stack) -> None:
    volumes = find_volumes(filled)
    with load(filled, write) as writes:
        shown = upgrade(filled, "--rehearse").stdout
    print(shown)  # noqa: T201  # figures
    assert re.search(
        r"^rehearsed: \d+ rows in PostgreSQL 18, [0-9.]+ MB, in [0-9.]+ s, ", shown, re.MULTILINE
    )
    assert set(writes.outcomes) == {"201"}
    assert (find_major(filled), find_volumes(filled)) == ("17", volumes)


def test_an_upgrade_that_was_killed_leaves_the_former_server(filled: Stack) -> None:
    volumes = find_volumes(filled)
    filled.lab.run(["bash", "-c", KILLED_UPGRADE], timeout_s=3600)
    shown = filled.build("status", "--no-lab").stdout
    assert "an upgrade to PostgreSQL 18 was interrupted, and the database refuses writes" in shown
    found = json.loads(filled.build("status", "--json", "--no-lab").stdout)["upgrade_db"]
    assert (found["step"], found["running"], found["refuses_writes"]) == ("copy", False, True)
    refused = filled.build("restore", "--to-volume=todo-data", "--no-lab", check=False)
    assert refused.returncode == 78
    # Writes are refused only as long as this server runs.
    with filled.client("kim") as client:
        assert client.post(TASKS, json={"title": "x"}).json()["code"] == "database-read-only"
        assert client.get(TASKS).status_code == 200
        filled.systemctl("restart", "todo-db")
        filled.wait_ready()
        wait_until(
            lambda: client.post(TASKS, json={"title": "kept"}).status_code == 201, 600, "writes"
        )
    assert find_major(filled) == "17"
    shown = upgrade(filled, "--back").stdout
    assert "the interrupted upgrade is canceled" in shown
    assert find_volumes(filled) == volumes
    assert "interrupted" not in filled.build("status", "--no-lab").stdout


def test_a_restart_ends_an_upgrade_that_was_killed(filled: Stack) -> None:
    volumes = find_volumes(filled)
    filled.lab.run(["bash", "-c", KILLED_UPGRADE], timeout_s=3600)
    done = filled.build("restart", "--no-lab")
    assert "An upgrade to PostgreSQL 18 was interrupted. It is canceled now." in done.stderr
    with filled.client("kim") as client:
        assert client.post(TASKS, json={"title": "kept too"}).status_code == 201
    assert (find_major(filled), find_volumes(filled)) == ("17", volumes)
    assert "interrupted" not in filled.build("status", "--no-lab").stdout


def test_an_upgrade_under_load_fails_no_read_and_loses_no_write(filled: Stack) -> None:
    filled.up("--backup")
    wait_until(lambda: is_received(filled), 600, "WAL arrives")
    filled.build("backup", "--no-lab")
    volumes = find_volumes(filled)
    with load(filled, read) as reads, load(filled, write) as writes:
        started = time.monotonic()
        shown = upgrade(filled).stdout
        took = time.monotonic() - started
        wait_until(lambda: bool(writes.done) and find_major(filled) == "18", 600, "18")
    figures = f"{COUNT} tasks: {took:.1f} s in all; reads {dict(reads.outcomes)}, longest "
    figures += f"{reads.longest_s:.1f} s; writes {dict(writes.outcomes)}, gap {writes.gap_s:.1f} s"
    print(f"{shown}\n{figures}")  # noqa: T201
    assert "every table compared, every journal verified" in shown
    # The database logged each write that it refused as planned.
    errors = json.loads(filled.build("status", "--json", "--no-lab").stdout)["errors"]
    assert errors["planned"] > 0
    assert set(reads.outcomes) == {"200"}
    assert set(writes.outcomes) <= {"201", "503 database-read-only"}
    assert find_titles(filled, "reader") >= set(writes.done)
    assert filled.show("todo-db", "NRestarts") == "0"
    # The former data stays.
    assert find_volumes(filled) > volumes
    # `up` keeps it.
    filled.up()
    assert find_major(filled) == "18"
    again = upgrade(filled).stdout
    assert again == "the stack runs PostgreSQL 18, the newest that this checkout has\n"


def test_backups_of_both_versions_are_kept_apart(filled: Stack) -> None:
    wait_until(lambda: is_received(filled), 600, "WAL arrives")
    filled.build("backup", "--no-lab")
    left = max(filled.podman("unshare", "find", FOLDER, "-name", "left.*").stdout.split())
    refused = filled.build("restore", f"--from={left}", "--no-lab", check=False)
    assert refused.returncode == 78
    assert "is of PostgreSQL 17, and this stack runs PostgreSQL 18" in refused.stderr
    assert "the backup is complete" in filled.build("drill", "--no-lab").stdout


def test_a_return_that_would_lose_writes_is_refused_and_another_reports_the_loss(
    filled: Stack,
) -> None:
    with filled.client("yuki") as client:
        client.post(TASKS, json={"title": "since"}).raise_for_status()
        refused = upgrade(filled, "--back", check=False)
        assert refused.returncode == 65
        assert re.search(r"would be lost: .*journal: \d+ -> \d+ rows", refused.stderr)
        assert find_major(filled) == "18"
        client.post(TASKS, json={"title": "still"}).raise_for_status()
        with load(filled, read) as reads:
            shown = upgrade(filled, "--back", "--lose-writes").stdout
        assert set(reads.outcomes) == {"200"}
        assert "the stack runs PostgreSQL 17 again, on the volume todo-data" in shown
        assert find_major(filled) == "17"
        assert client.get(TASKS).json()["items"] == []


def test_a_return_right_after_an_upgrade_loses_nothing(filled: Stack) -> None:
    titles = find_titles(filled, "reader")
    filled.build("backup", "--no-lab")
    lefts = find_lefts(filled)
    filled.lab.run(["bash", "-c", KILLED_SETTLE], timeout_s=3600)
    upgrade(filled)
    assert find_major(filled) == "18"
    # All of the former version is in one folder, and nothing of it beside the new backups.
    (left,) = find_lefts(filled) - lefts
    assert find_majors(filled, left) == {"17"}
    assert find_majors(filled, FOLDER) <= {"18"}
    assert find_titles(filled, "reader") == titles
    started = time.monotonic()
    upgrade(filled, "--back")
    print(f"back in {time.monotonic() - started:.1f} s")  # noqa: T201
    assert find_major(filled) == "17"
    assert find_titles(filled, "reader") == titles
    filled.lab.run(["test", "!", "-e", RECORD])
