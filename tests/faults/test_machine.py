"""Faults of the machine and of those who operate it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from datetime import datetime
from typing import TYPE_CHECKING

from tests.faults.table import Row
from tests.faults.traffic import Stopwatch, is_ready, load
from tests.system.stack_in_lab import BUILD, IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.table import Record
    from tests.system.stack_in_lab import Stack

_PREVIOUS = "todo-token-secret-previous"
# As docs/secure.md says.
_KEEP_OLD = (
    "podman secret inspect --showsecret --format '{{.SecretData}}' todo-token-secret"
    " | podman secret create todo-token-secret-previous -"
)
_MAKE_NEW = (
    """python3 -c 'import secrets; print(secrets.token_urlsafe(48), end="")'"""
    " | podman secret create --replace todo-token-secret -"
)
_WITH_OLD = f"""
[Container]
Secret={_PREVIOUS},type=mount,uid=10001,gid=10001,mode=0400
Environment=TODO_TOKEN_PREVIOUS_SECRET_FILE=/run/secrets/{_PREVIOUS}
"""
_JUMPS = ("+1800", "-1800", "+0")
"""Seconds from the clock of the host, one after the other."""
_JUMP_LASTS_S = 15.0
# A lab has its host's clock. This one is the clock of one process; systemd and Podman measure
# intervals with the monotonic clock, which does not jump.
_MAKE_CLOCK = """
apt-get update --quiet
apt-get install --yes --quiet --no-install-recommends libfaketime
install -D --target-directory=/srv/clock /usr/lib/*/faketime/libfaketime.so.1
printf +0 > /srv/clock/offset
"""
_WITH_CLOCK = """
[Container]
Volume=/srv/clock:/srv/clock:ro
Tmpfs=/dev/shm:rw,size=1m,mode=1777
Environment=LD_PRELOAD=/srv/clock/libfaketime.so.1
Environment=FAKETIME_TIMESTAMP_FILE=/srv/clock/offset FAKETIME_NO_CACHE=1
Environment=FAKETIME_DONT_FAKE_MONOTONIC=1
"""
# Ends build.py and everything below it a moment after it has begun a step, or itself without one.
_KILLED_AT = """
setsid "$@" > killed.log 2>&1 &
until [ -z "$STEP" ] || grep -q "$STEP" killed.log || ! kill -0 $! 2> /dev/null; do sleep 0.02; done
[ -z "$STEP" ] || grep -q "$STEP" killed.log || { cat killed.log >&2; exit 1; }
sleep "$DELAY"
kill -KILL -- -$!
wait $! || :
"""
_STEPS = (
    ("", "0.5"),
    ("Installing the units", "0"),
    ("Installing the units", "0.5"),
    ("Starting the services", "0"),
    ("Starting the services", "1"),
    ("Waiting until the backend", "0"),
)


def kill_at(stack: Stack, step: str, delay_s: str, *words: str) -> None:
    """Run `build.py` in the lab, and kill it in the step."""
    argv = ["bash", "-c", _KILLED_AT, "bash", *BUILD, *words]
    stack.lab.run(argv, env={"STEP": step, "DELAY": delay_s}, timeout_s=3600)


def test_a_reboot(stack: Stack, record: Record) -> None:
    with load(stack) as traffic:
        clock = Stopwatch()
        stack.lab.reboot()
        healed = clock.wait(lambda: is_ready(stack), "ready")
    remedy = "systemd stops everything in order, and starts it at boot"
    record(Row("reboot", None, healed, traffic.report, remedy))


@contextlib.contextmanager
def _clock(stack: Stack) -> Iterator[Callable[[str], None]]:
    """Give backend and database a clock of their own; yields what sets its offset in seconds."""

    def set_offset(seconds: str) -> None:
        stack.lab.run(["tee", "/srv/clock/offset"], stdin=seconds, user="root")

    stack.lab.run(["bash", "-e", "-c", _MAKE_CLOCK], user="root", timeout_s=3600)
    try:
        with contextlib.ExitStack() as dropins:
            for unit in ("todo-db", "todo-backend"):
                shared = "Tmpfs=/dev/shm" if unit == "todo-db" else ""
                lines = _WITH_CLOCK.splitlines()
                text = "\n".join(each for each in lines if not shared or shared not in each)
                dropins.enter_context(stack.drop_in(f"{unit}.container", text))
            stack.build("restart", "--no-lab")
            stack.systemctl("restart", "todo-db")
            stack.wait_ready()
            yield set_offset
    finally:
        stack.systemctl("restart", "todo-db", "todo-backend")
        stack.lab.run(["rm", "-r", "/srv/clock"], user="root")


def _measure_clock(stack: Stack) -> float:
    """Return the seconds by which the database's clock is ahead of the host's."""
    with stack.client("clock") as client:
        made = client.post("/api/v1/tasks", json={"title": "now"}).json()["created_at"]
    return datetime.fromisoformat(made).timestamp() - time.time()


def test_a_clock_that_jumps(stack: Stack, record: Record) -> None:
    with _clock(stack) as set_offset, load(stack) as traffic:
        for seconds in _JUMPS:
            set_offset(seconds)
            assert abs(_measure_clock(stack) - float(seconds)) < 600, seconds
            time.sleep(_JUMP_LASTS_S)
        clock = Stopwatch()
        healed = clock.wait(lambda: is_ready(stack), "ready")
    remedy = "nothing to heal: intervals are measured with the monotonic clock"
    record(Row("clock jumps by 30 minutes, 3 times", None, healed, traffic.report, remedy))
    assert traffic.report["lost"] == 0, traffic.report


def test_two_ups_at_once(stack: Stack, record: Record) -> None:
    argv = stack.lab.argv([*BUILD, "up", "--no-lab", IMAGES, "--instances=2"])
    try:
        with load(stack) as traffic:
            clock = Stopwatch()
            both = [subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) for _ in range(2)]
            told = [each.communicate(timeout=3600)[1] for each in both]
            seconds = clock.seconds
        assert [each.returncode for each in both] == [0, 0], told
    finally:
        stack.up("--instances=1")
    record(Row("two `up` at once", None, seconds, traffic.report, "one waits for the other"))
    assert traffic.report["lost"] == 0, traffic.report


def test_up_is_killed_at_its_steps(stack: Stack, record: Record) -> None:
    healed = []
    try:
        with load(stack) as traffic:
            for number, (step, delay_s) in enumerate(_STEPS):
                wanted = f"--instances={2 - number % 2}"
                kill_at(stack, step, delay_s, "up", "--no-lab", IMAGES, wanted)
                clock = Stopwatch()
                stack.up(wanted)
                healed.append(clock.seconds)
    finally:
        stack.up("--instances=1")
    name = f"`up` killed at {len(_STEPS)} moments"
    remedy = "the same command again, which finishes it"
    record(Row(name, None, max(healed), traffic.report, remedy))


@contextlib.contextmanager
def _previous_secret(stack: Stack) -> Iterator[None]:
    stack.lab.run(["bash", "-o", "pipefail", "-c", _KEEP_OLD])
    try:
        with stack.drop_in("todo-backend.container", _WITH_OLD):
            yield
    finally:
        stack.build("restart", "--no-lab")
        stack.podman("secret", "rm", _PREVIOUS)


def test_a_secret_that_is_rotated(stack: Stack, record: Record) -> None:
    with load(stack) as traffic:
        clock = Stopwatch()
        with _previous_secret(stack):
            stack.lab.run(["bash", "-o", "pipefail", "-c", _MAKE_NEW])
            stack.build("restart", "--no-lab")
            healed = clock.seconds
            traffic.renew_tokens()
    remedy = "the former secret is accepted too, until its tokens have expired"
    record(Row("secret rotated", None, healed, traffic.report, remedy))
    assert traffic.report["lost"] == 0, traffic.report


def test_a_secret_that_is_replaced(stack: Stack, record: Record) -> None:
    with load(stack) as traffic:
        clock = Stopwatch()
        stack.lab.run(["bash", "-o", "pipefail", "-c", _MAKE_NEW])
        stack.build("restart", "--no-lab")
        traffic.renew_tokens()
        healed = clock.seconds
    remedy = "old tokens get 401 at once; clients take new ones"
    record(Row("secret replaced", None, healed, traffic.report, remedy))
    assert traffic.report["lost"] == 0, traffic.report
    assert any("401" in found for found in traffic.report["outcomes"].values())
