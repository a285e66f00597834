"""Three instances behind one public socket: one may fail, and each is restarted, unnoticed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.stack_in_lab import Stack

NAMES = ("todo-backend", "todo-backend@2", "todo-backend@3")
SECOND = ".config/containers/systemd/todo-backend@2.container.d"
LINKS = ".config/systemd/user .config/containers/systemd"


@pytest.fixture(scope="module")
def three(installed: Stack) -> Iterator[Stack]:
    """The stack with three instances."""
    installed.up("--instances=3")
    yield installed
    installed.up("--instances=1")


def status(stack: Stack) -> dict[str, Any]:
    found = json.loads(stack.build("status", "--json", "--no-lab", check=False).stdout)
    assert isinstance(found, dict)
    return {**found, "units": {unit["unit"]: unit for unit in found["units"]}}


def invocations(stack: Stack) -> list[str]:
    return [stack.show(name, "InvocationID") for name in NAMES]


def is_accepting(stack: Stack, url: str) -> bool:
    asked = stack.lab.run(["curl", "--silent", "--fail", f"{url}/metrics"], check=False)
    return "\ntodo_accepting 1.0\n" in asked.stdout


def test_each_instance_accepts_and_has_a_management_address_of_its_own(three: Stack) -> None:
    now = status(three)
    assert now["ready"] is True
    assert [each["unit"] for each in now["instances"]] == [f"{name}.service" for name in NAMES]
    urls = [each["management"] for each in now["instances"]]
    assert urls == [f"http://127.0.0.1:{port}" for port in (9000, 9001, 9002)]
    assert all(is_accepting(three, url) for url in urls)
    assert {now["units"][f"{name}.service"]["restarts"] for name in NAMES} == {0}
    assert not [unit["unit"] for unit in now["units"].values() if unit["differs"]]


def test_a_second_up_changes_nothing(three: Stack) -> None:
    before = invocations(three)
    three.up()
    assert invocations(three) == before


def test_a_killed_instance_comes_back_and_the_others_answer(three: Stack) -> None:
    pid = three.inspect("todo-backend-2")["State"]["Pid"]
    three.lab.run(["kill", "-s", "KILL", str(pid)], user="root")
    with three.load("fresh", 3) as load:
        wait_until(lambda: is_accepting(three, "http://127.0.0.1:9001"), 600, "back")
    assert set(load["outcomes"]) == {"200"}, load
    assert status(three)["units"]["todo-backend@2.service"]["cause"] == "restarted 1 time"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        # Ends at every start; ends with an exit code after which systemd does not try again.
        ('[Container]\nEntrypoint=/usr/bin/python3\nExec=-c "raise SystemExit(9)"\n', "activating"),
        ("[Container]\nEnvironment=TODO_LOG_LEVEL=loud\n", "failed"),
    ],
)
def test_an_instance_that_fails_for_ever_leaves_the_others_and_the_port_alone(
    three: Stack, text: str, state: str
) -> None:
    unit = "todo-backend@2.service"
    path = f"{SECOND}/95-broken.conf"
    others = [each for each in invocations(three) if each != three.show(unit, "InvocationID")]
    three.lab.run(["tee", path], stdin=text)
    try:
        three.systemctl("daemon-reload")
        with three.load("fresh", 10) as load:
            three.systemctl("restart", "--no-block", unit)
            if state == "activating":
                wait_until(lambda: int(three.show(unit, "NRestarts")) >= 3, 600, "3 restarts")
            else:
                wait_until(lambda: three.show(unit, "ActiveState") == state, 600, state)
        assert set(load["outcomes"]) == {"200"}, load
        assert three.show("todo-backend.socket", "ActiveState") == "active"
        now = status(three)
        assert now["ready"] is True
        assert now["units"][unit]["cause"]
        assert [each for each in invocations(three) if each in others] == others
    finally:
        three.lab.run(["rm", "-f", path])
        three.systemctl("daemon-reload")
        three.up()


@pytest.mark.parametrize("mode", ["fresh", "keepalive"])
def test_a_restart_goes_from_one_instance_to_the_next_and_loses_no_request(
    three: Stack, mode: str
) -> None:
    before = invocations(three)
    with three.load(mode, 20) as load:
        three.build("restart", "--no-lab")
    after = invocations(three)
    assert not set(before) & set(after)
    allowed = {"200"} if mode == "fresh" else {"200", "idle close"}
    assert set(load["outcomes"]) <= allowed, load
    assert load["outcomes"]["200"] > 500


def test_going_back_to_one_instance_loses_no_request_and_leaves_nothing(three: Stack) -> None:
    with three.load("fresh", 10) as load:
        three.up("--instances=1")
    assert set(load["outcomes"]) == {"200"}, load
    left = three.lab.run(["bash", "-c", f"find {LINKS} -name '*@*' -o -name '*instances*'"])
    assert left.stdout.split() == []
    assert three.podman("ps", "--format={{.Names}}").stdout.split().count("todo-backend") == 1
    assert set(status(three)["units"]) == {
        "todo-backend.socket",
        "todo-management.socket",
        "todo-db.service",
        "todo-migrate.service",
        "todo-backend.service",
    }
