"""The end of a lab: nothing is left of it, and its data is not deleted unasked."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.errors import ExitCode
from deploy.host import cgroup as lab_cgroup
from deploy.lab import manager
from deploy.lab import processes as lab_processes
from deploy.lab import state as lab_state
from deploy.paths import REPO
from tests.machine_clock import wait_until
from tests.system.stack_in_lab import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

GONE_WITHIN_S = 200.0
OWNER = """
import sys, time
from deploy.lab import manager as labs
with labs.throwaway(sys.argv[1]):
    print("ready", flush=True)
    time.sleep(600)
"""


class Traces:
    """Resources of a running lab on this host, which must be gone after its end."""

    def __init__(self, name: str) -> None:
        record = lab_state.find(name)
        assert record is not None
        inner = lab_processes.find_inner_init(record.keeper)
        assert inner is not None
        self._name = name
        self._spaces = (spaces(record.keeper) | spaces(inner)) - spaces(os.getpid())
        # The keeper, the machine and its network each have what this process does not share.
        assert len(self._spaces) == 5

    def left(self) -> list[str]:
        found = [str(lab_state.folder_of(self._name))] if self._folder_exists() else []
        for mount in lab_cgroup.hierarchies(Path("/proc/self/mountinfo").read_text()):
            found += [str(path) for path in mount.glob(f"*{self._name}*")]
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                mounts = (process / "mountinfo").read_text()
                if spaces(int(process.name)) & self._spaces or self._name in mounts:
                    found.append((process / "cmdline").read_text())
        return found

    def wait_gone(self) -> None:
        wait_until(
            lambda: not self.left(),
            "gone",
            within_s=GONE_WITHIN_S,
            explain=lambda: f"{self.left()}",
        )

    def _folder_exists(self) -> bool:
        return lab_state.folder_of(self._name).exists()


@contextlib.contextmanager
def owner(name: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a throwaway lab."""
    argv = [sys.executable, "-c", OWNER, name]
    env = {**os.environ, "PYTHONPATH": str(REPO / "src")}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=env, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def spaces(pid: int) -> set[str]:
    """The namespaces that a process is in."""
    return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in ("mnt", "pid", "net")}


def build(*words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """`build.py` on this host, with its standard error to read."""
    return subprocess.Popen(
        [sys.executable, str(REPO / "build.py"), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        text=True,
        start_new_session=True,
    )


def test_nothing_is_left_after_the_block() -> None:
    with manager.throwaway() as ended:
        traces = Traces(ended.name)
        assert traces.left()
    assert traces.left() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_the_owner_died(number: signal.Signals) -> None:
    name = f"owned-{number.name.lower()}"
    with owner(name) as process:
        traces = Traces(name)
        process.send_signal(number)
        process.wait()
        traces.wait_gone()


def test_a_killed_keeper_leaves_a_folder_to_the_next_command() -> None:
    started = manager.start("orphan")
    traces = Traces(started.name)
    record = lab_state.find(started.name)
    assert record is not None
    os.kill(record.keeper, signal.SIGKILL)
    folder = lab_state.folder_of("orphan")
    wait_until(lambda: not lab_state.is_running(folder), "ended", within_s=GONE_WITHIN_S)
    assert "orphan" not in [each.name for each in manager.list_labs()]
    traces.wait_gone()


def test_up_run_list_and_down_on_the_command_line() -> None:
    port = free_port()
    up = build("lab", "up", "cli", f"--publish={port}:8000")
    said, _ = up.communicate()
    assert up.returncode == 0, said
    try:
        traces = Traces("cli")
        listed, _ = build("lab", "list").communicate()
        assert f"cli\t127.0.0.1:{port} -> 8000" in listed
        ran = build("lab", "run", "cli", "--", "sh", "-c", "hostname; exit 7")
        said, _ = ran.communicate()
        assert said == "cli\n"
        assert ran.returncode == 7
    finally:
        down = build("lab", "down", "cli")
        said, _ = down.communicate()
    assert down.returncode == 0, said
    # The kernel may still be ending what was killed.
    traces.wait_gone()
    again = build("lab", "down", "cli")
    said, _ = again.communicate()
    assert again.returncode == ExitCode.CONFIG
    assert said.startswith("build.py: error: the lab 'cli' is not running")


def test_lab_with_data_is_not_deleted_unasked(running: manager.Lab) -> None:
    volume = ".local/share/containers/storage/volumes/todo-data/_data"
    running.run(["mkdir", "-p", volume])
    running.run(["tee", f"{volume}/PG_VERSION"], stdin="17\n")
    try:
        listed, _ = build("lab", "list").communicate()
        assert "todo-data (4 kB, less than a minute old)" in listed
        down = build("lab", "down", running.name)
        said, _ = down.communicate()
        assert down.returncode == ExitCode.USAGE
        assert f"the lab {running.name} holds todo-data (4 kB, " in said
        assert "--yes" in said
        assert running.run(["hostname"]).stdout.strip() == running.name
    finally:
        running.run(["rm", "-r", volume])


def test_lab_with_data_is_deleted_when_that_is_confirmed() -> None:
    up = build("lab", "up", "confirmed")
    up.communicate()
    machine = manager.attach("confirmed")
    traces = Traces(machine.name)
    volume = ".local/share/containers/storage/volumes/todo-data/_data"
    machine.run(["mkdir", "-p", volume])
    machine.run(["tee", f"{volume}/PG_VERSION"], stdin="17\n")
    down = build("lab", "down", "confirmed", "--yes")
    said, _ = down.communicate()
    assert down.returncode == 0, said
    # The kernel may still be ending what was killed.
    traces.wait_gone()


def test_ctrl_c_while_booting_leaves_nothing() -> None:
    up = build("lab", "up", "cut")
    assert up.stdout is not None
    for line in up.stdout:
        if line.startswith("Booting"):
            break
    up.send_signal(signal.SIGINT)
    up.communicate()
    assert up.returncode == ExitCode.INTERRUPTED
    assert not lab_state.folder_of("cut").exists()
    assert processes_with("labs/cut") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_cutting_the_root_build_short_leaves_no_process(
    number: signal.Signals, tmp_path: Path
) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    up = build("lab", "up", "cut", env=env)
    wait_until(
        lambda: list(tmp_path.rglob("var/lib/apt/lists")) or up.poll() is not None,
        "building the root",
        within_s=600,
    )
    up.send_signal(number)
    up.communicate()
    wait_until(lambda: not processes_with(str(tmp_path)), "ended", within_s=GONE_WITHIN_S)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    if number is signal.SIGINT:
        assert list((tmp_path / "todo-backend" / "lab").iterdir()) == []
        assert list((tmp_path / "todo-backend" / "labs").iterdir()) == []


def processes_with(text: str) -> list[str]:
    """The command lines of this host that hold a text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_text().replace("\0", " ")
            if text in line and process.name != str(os.getpid()):
                found.append(line)
    return found
