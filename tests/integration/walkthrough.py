"""A bit of everything that the backend does, for a database that is reached in another way."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.service import Service, run_admin
from tests.integration.users import LISTS, TASKS, Person, read

_IN_UTC = re.compile(r"[0-9]{4}-[0-9-]{5}T[0-9:]{8}\.[0-9]{6}\+00:00")


def take_tour(service: Service, person: Person, folder: Path) -> None:
    """Use each kind of statement: none may fail, and every time must have the one form."""
    home = person.create(LISTS, name="Home")
    task = person.create(TASKS, title="Buy pears", list_id=home["id"], tags=["a", "b"])
    dated = person.create(TASKS, title="Due", due_at="2027-03-28T02:30:00+01:00", reminders=[5])
    at = f"{TASKS}/{task['id']}"
    assert read(person.http.get(at)) == task
    changed = read(person.http.patch(at, json={"title": "Buy plums"}))
    assert read(person.http.post(f"{at}/complete"))["is_completed"]

    key = {"Idempotency-Key": "k"}
    first, again = (person.http.post(TASKS, json={"title": "once"}, headers=key) for _ in range(2))
    assert (first.status_code, again.content) == (201, first.content)

    operations = [
        {"op": "create", "task": {"title": "one of many"}},
        {"op": "update", "id": dated["id"], "task": {"priority": "high"}},
    ]
    results = read(person.http.post(f"{TASKS}/batch", json={"operations": operations}))["results"]
    assert len(results) == 2

    for query in ({}, {"q": "plums"}, {"due": "none"}, {"tag": "a"}, {"list": home["id"]}):
        found = read(person.http.get(TASKS, params=query))["items"]
        assert task["id"] in {item["id"] for item in found}, query
        _check_times(found)

    changes = read(person.http.get("/api/v1/changes", params={"since": 0}))
    _check_times(changes)
    last = max(change["seq"] for change in changes["items"])
    read(person.http.post("/api/v1/undo", json={"seq": last}))
    with person.http.stream("GET", "/api/v1/events", params={"since": 0}) as events:
        assert any(line.startswith("data:") for line in events.iter_lines())
    _check_times([task, changed, dated, read(person.http.get("/api/v1/me"))])

    _move(service, person, folder / "export")


def _move(service: Service, person: Person, file: Path) -> None:
    """Export the account, delete it, and take it in again."""

    def export() -> str:
        done = run_admin(service.environment, "export", "--owner", person.name)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    file.write_text(export())
    for line in file.read_text().splitlines():
        _check_times(json.loads(line))
    assert person.http.delete("/api/v1/me").status_code == 204
    done = run_admin(service.environment, "import", str(file))
    assert done.returncode == 0, done.stderr
    assert export().count("\n") == file.read_text().count("\n")
    verified = run_admin(service.environment, "verify", "--owner", person.name, "--state")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _check_times(value: Any) -> None:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        for item in value:
            _check_times(item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str) and (name == "at" or name.endswith("_at")):
                assert _IN_UTC.fullmatch(item), (name, item)
            _check_times(item)
