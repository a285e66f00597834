"""Updates of the real stack: good and bad images under load, a crash of build.py, and rollbacks."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from deploy.errors import ExitCode
from tests.system import update_images
from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.process import Completed
    from tests.system.stack_in_lab import Stack

STATE = ".local/state/todo-backend/update"
BACKUPS = ".local/share/todo-backend/backup"
UPDATE = ("update", "--no-lab", "--no-scan")
RATE = "--rate=50"
INPUTS = '--format={{index .Labels "org.todo-backend.inputs"}}'
SERVICE = "todo-update.service"
# Takes back what the images "expands" and "has-contract" did: other tests use the same database.
AS_BEFORE = (
    *("--username=postgres", "--dbname=todo", "--command=DROP TABLE IF EXISTS later"),
    "--command=UPDATE alembic_version SET version_num = '0013'",
    "--command=UPDATE schema_compatibility SET oldest_program = '0013'",
)
# Killed, with all that it started, when the record names the step.
KILLED = f"""
setsid python3 /srv/todo-backend/build.py {" ".join(UPDATE)} --watch=3 --image "$1" &
until grep -q "\\"step\\": \\"$0\\"" {STATE}/record.json 2>/dev/null; do
    kill -0 $! || exit
    sleep 0.1
done
kill -KILL -- -$!
wait $! || :
"""
LEFT = """
find .config \\( -name '*candidate*' -o -name 'todo-update*' \\)
systemctl --user list-units --all --plain --no-legend '*candidate*' 'todo-update*'
podman ps --all --format '{{.Names}}' | grep -E 'candidate|update' || :
"""


@pytest.fixture(scope="module")
def updated(installed: Stack) -> Iterator[Stack]:
    """The stack; on the image of the checkout again afterwards, without what updates keep."""
    yield installed
    installed.up("--instances=1", "--no-backup", "--no-update-timer")
    installed.podman("exec", "todo-db", "psql", "--host=/run/todo", *AS_BEFORE)
    installed.podman("unshare", "rm", "-rf", BACKUPS)
    installed.lab.run(["rm", "-rf", STATE])
    tags = installed.podman(
        *("images", "--format={{.Repository}}:{{.Tag}}"),
        *("--filter=reference=localhost/update-test", "--filter=reference=localhost/todo-backend"),
    ).stdout.split()
    kept = [tag for tag in tags if tag != "localhost/todo-backend:latest"]
    installed.podman("image", "rm", "--force", "--ignore", *kept, check=False)


def update(stack: Stack, image: str, *words: str, watch_s: int = 3) -> Completed:
    return stack.build(*UPDATE, f"--image={image}", f"--watch={watch_s}", *words, check=False)


def status(stack: Stack) -> dict[str, Any]:
    shown = stack.build("status", "--json", "--no-lab", check=False).stdout
    found: dict[str, Any] = json.loads(shown)
    return found


def find_image(stack: Stack, container: str = "todo-backend") -> str:
    return str(stack.inspect(container)["Image"])


def find_id(stack: Stack, name: str) -> str:
    return stack.podman("image", "inspect", "--format={{.Id}}", name).stdout.strip()


def has_metric(stack: Stack, sample: str) -> bool:
    found = httpx.get(f"http://127.0.0.1:{stack.management_port}/metrics", timeout=60).text
    return f"\n{sample}\n" in found


def require_unchanged(stack: Stack, image: str) -> None:
    """The stack runs an image and nothing is left of an attempt to run another one."""
    now = status(stack)
    assert now["ready"] is True
    assert (now["update"]["running"], now["update"]["interrupted"]) == (None, None)
    assert not [unit["unit"] for unit in now["units"] if unit["differs"]]
    assert find_image(stack) == image
    assert find_id(stack, "localhost/todo-backend:latest") == image
    assert stack.lab.run(["bash", "-c", LEFT]).stdout.split() == []


def test_an_update_to_the_same_image_does_nothing(updated: Stack) -> None:
    before = updated.show("todo-backend", "InvocationID")
    done = updated.build(*UPDATE)
    assert done.stdout.startswith("already up to date: the stack runs localhost/todo-backend:")
    assert updated.show("todo-backend", "InvocationID") == before


def test_a_stack_that_is_down_is_started_as_it_is_although_the_checkout_was_refused(
    updated: Stack,
) -> None:
    before = find_image(updated)
    # The stack runs what the checkout is built to, as no update has run yet.
    inputs = updated.podman("image", "inspect", INPUTS, "localhost/todo-backend:latest").stdout
    image = {"reference": "refused", "digest": "sha256:refused", "inputs": inputs.strip()}
    refusal = {"image": image, "reason": "it ended", "log": [], "at": "2026-11-30T05:00:00+00:00"}
    file = f"{STATE}/refused.json"
    updated.lab.run(["mkdir", "-p", STATE])
    updated.lab.run(["tee", file], stdin=json.dumps([refusal]))
    try:
        updated.build("down", "--no-lab")
        done = updated.up(check=False)
        assert done.returncode == ExitCode.REFUSED, done.stderr
        assert "it ended; the stack was started as it is installed" in done.stderr
        require_unchanged(updated, before)
    finally:
        updated.lab.run(["rm", file])


def test_a_good_image_replaces_a_single_instance_without_a_lost_request(updated: Stack) -> None:
    image = update_images.make(updated, "good")
    before = find_image(updated)
    with updated.load("fresh", 60, RATE) as load:
        done = update(updated, image)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("updated: ")
    assert set(load["outcomes"]) == {"200"}, load
    require_unchanged(updated, find_id(updated, image))
    kept = status(updated)["update"]["kept"]
    assert [tag.rpartition("-")[2] for tag in kept] == [before[:12], find_image(updated)[:12]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "does not report the schemas that it supports"),
        ("hangs-at-import", "did not load within"),
        ("exits", "it ended: SystemExit: 9"),
        ("errors", "returns 500"),
        ("unknown-requests", "returns 404, but 200 with the running image"),
        ("silent", "gets no response within"),
        ("never-ready", "not ready after"),
        ("migration-fails", "spoilt"),
    ],
)
def test_a_bad_image_is_refused_before_a_user_meets_it_and_the_second_time_at_once(
    updated: Stack, name: str, reason: str
) -> None:
    before = find_image(updated)
    invocation = updated.show("todo-backend", "InvocationID")
    image = update_images.make(updated, name)
    with updated.load("fresh", 20, RATE) as load:
        done = update(updated, image)
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert reason in done.stderr
    assert set(load["outcomes"]) == {"200"}, load
    require_unchanged(updated, before)
    assert updated.show("todo-backend", "InvocationID") == invocation
    again = update(updated, image)
    assert again.returncode == ExitCode.REFUSED
    assert "was refused on" in again.stderr
    assert "Migrating" not in again.stderr
    assert reason in updated.build("status", "--no-lab").stdout


def test_a_migration_that_holds_a_lock_and_hangs_is_ended_in_the_database_too(
    updated: Stack,
) -> None:
    before = find_image(updated)
    image = update_images.make(updated, "migration-hangs")
    with updated.load("fresh", 30, RATE) as load:
        done = update(updated, image)
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert "its migration has let requests wait for" in done.stderr
    # What waits for longer than a statement may take is answered 503.
    assert set(load["outcomes"]) <= {"200", "503"}, load
    require_unchanged(updated, before)
    with updated.client("after") as client:
        assert client.get("/api/v1/tasks").status_code == httpx.codes.OK


def test_a_slow_image_is_refused(updated: Stack) -> None:
    before = find_image(updated)
    done = update(updated, update_images.make(updated, "slow"))
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert re.search(r"a request takes \d+\.\d+ s, and \d+\.\d+ s with the image", done.stderr)
    require_unchanged(updated, before)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("contracts", "drops support for programs older than 0014"),
        ("too-old", "needs a program for 0013 or later"),
    ],
)
def test_an_image_that_does_not_fit_the_schema_is_refused(
    updated: Stack, name: str, reason: str
) -> None:
    before = find_image(updated)
    done = update(updated, update_images.make(updated, name))
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert reason in done.stderr
    require_unchanged(updated, before)


@pytest.mark.parametrize(
    ("name", "reason"), [("late-errors", "returns 500"), ("hangs", ""), ("crashes", "code 9")]
)
def test_an_image_that_fails_while_it_serves_is_rolled_back(
    updated: Stack, name: str, reason: str
) -> None:
    before = find_image(updated)
    invocation = updated.show("todo-backend", "InvocationID")
    done = update(updated, update_images.make(updated, name), watch_s=60)
    assert done.returncode == ExitCode.ROLLED_BACK, done.stderr
    assert reason in done.stderr
    require_unchanged(updated, before)
    assert updated.show("todo-backend", "InvocationID") == invocation


def test_an_image_that_fails_as_an_instance_is_rolled_back_while_the_candidate_serves(
    updated: Stack,
) -> None:
    before = find_image(updated)
    image = update_images.make(updated, "fails-as-instance")
    with updated.load("fresh", 60, RATE) as load:
        done = update(updated, image)
    assert done.returncode == ExitCode.ROLLED_BACK, done.stderr
    assert "Restarting todo-backend.service: failed" in done.stderr
    assert set(load["outcomes"]) == {"200"}, load
    require_unchanged(updated, before)


@pytest.mark.parametrize("step", ["migrate", "watch", "switch"])
def test_an_update_that_was_killed_is_undone_by_the_next_one(updated: Stack, step: str) -> None:
    before = find_image(updated)
    image = update_images.make(updated, "other")
    updated.lab.run(["bash", "-c", KILLED, step, image])
    now = status(updated)
    assert now["update"]["interrupted"] == f"update, {step}"
    assert "goes back to localhost/todo-backend:" in updated.build("status", "--no-lab").stdout
    done = updated.build("restart", "--no-lab")
    assert f"interrupted at: {step}" in done.stderr
    require_unchanged(updated, before)


def test_two_instances_with_backups_follow_a_migration_and_come_back_without_a_lost_request(
    updated: Stack,
) -> None:
    updated.up("--instances=2", "--backup")
    before = find_image(updated)
    image = update_images.make(updated, "expands", before)
    done = update(updated, image)
    assert done.returncode == ExitCode.REFUSED
    assert "there is no backup of the last 2 days" in done.stderr
    with updated.load("fresh", 90, RATE) as load:
        done = update(updated, image, "--without-backup-check")
        assert done.returncode == 0, done.stderr
        assert find_image(updated, "todo-backend-2") == find_id(updated, image)
        require_unchanged(updated, find_id(updated, image))
        back = updated.build("rollback", "--no-lab", "--watch=3", "--refuse")
    assert back.stdout.startswith("rolled back: ")
    assert set(load["outcomes"]) == {"200"}, load
    assert find_image(updated, "todo-backend-2") == before
    require_unchanged(updated, before)
    assert 'restore point "update-' in updated.build("logs", "db", "--no-lab").stdout
    again = update(updated, image, "--without-backup-check")
    assert "left by a rollback" in again.stderr


def test_the_contract_step_waits_for_the_kept_images_and_serves_throughout(updated: Stack) -> None:
    contract = ("contract", "--no-lab", "--without-backup-check")
    image = update_images.make(updated, "has-contract")
    done = update(updated, image, "--without-backup-check")
    assert done.returncode == 0, done.stderr
    assert "build.py contract removes them" in done.stderr
    try:
        refused = updated.build(*contract, check=False)
        assert refused.returncode == ExitCode.REFUSED, refused.stderr
        assert "which needs schema 0013, is kept for a rollback" in refused.stderr
        require_unchanged(updated, find_id(updated, image))
        with updated.load("fresh", 40, RATE) as load:
            done = updated.build(*contract, "--drop-images")
        assert done.stdout.startswith("contracted: the schema works with programs from 0014 on")
        assert set(load["outcomes"]) == {"200"}, load
        require_unchanged(updated, find_id(updated, image))
        now = status(updated)
        assert now["instances"][0]["figures"]["database_schema"] == "0015"
        assert now["update"]["previous"] is None
        back = updated.build("rollback", "--no-lab", check=False)
        assert back.returncode == ExitCode.REFUSED
        assert "no update has kept another image" in back.stderr
        again = updated.build(*contract)
        assert again.stdout.startswith("nothing to do: the schema works with programs from 0014 on")
    finally:
        updated.podman("exec", "todo-db", "psql", "--host=/run/todo", *AS_BEFORE)


def test_a_timer_updates_each_night_and_its_outcome_is_seen(updated: Stack) -> None:
    updated.up("--instances=1", "--no-backup", "--update-timer")
    assert updated.show("todo-update.timer", "UnitFileState") == "enabled"
    assert updated.show("todo-update.timer", "NextElapseUSecRealtime")
    assert "build.py update --no-cache --no-lab" in updated.show(SERVICE, "ExecStart")
    # A build fetches packages; what else the service does is the same with an image that is here.
    dropin = f".config/systemd/user/{SERVICE}.d/50-image.conf"
    updated.lab.run(["mkdir", "-p", dropin.rpartition("/")[0]])
    try:
        for name, code, result in (("exits", 81, "refused"), ("other", 0, "updated")):
            image = update_images.make(updated, name)
            command = f"python3 /srv/todo-backend/build.py {' '.join(UPDATE)} --watch=3"
            text = f"[Service]\nExecStart=\nExecStart=/usr/bin/env {command} --image={image}\n"
            updated.lab.run(["tee", dropin], stdin=text)
            updated.systemctl("daemon-reload")
            updated.systemctl("start", SERVICE, check=False)
            assert updated.show(SERVICE, "ExecMainStatus") == str(code)
            shown = updated.build("status", "--no-lab").stdout
            assert (f"{SERVICE} failed" in shown) is (code != 0)
            seen = f'todo_update_result{{result="{result}"}} 1.0'
            wait_until(functools.partial(has_metric, updated, seen), 300, seen)
        assert find_image(updated) == find_id(updated, image)
        assert "updated: the stack runs" in updated.build("logs", "update", "--no-lab").stdout
    finally:
        updated.lab.run(["rm", "-r", dropin.rpartition("/")[0]])

    updated.build("down", "--no-lab")
    assert updated.show("todo-update.timer", "ActiveState") == "inactive"
    updated.up("--no-update-timer")
    assert updated.show("todo-update.timer", "LoadState") == "not-found"
