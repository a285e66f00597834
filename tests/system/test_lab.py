"""The lab itself: apart from others, and reachable."""

from __future__ import annotations

import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.host import cgroup as lab_cgroup
from deploy.lab import manager
from deploy.paths import REPO
from tests.machine_clock import wait_until
from tests.system.stack_in_lab import free_port

if TYPE_CHECKING:
    from pathlib import Path

SERVE = ("systemd-run", "--user", "--unit=web", "--working-directory=/etc")


def get(port: int) -> str:
    """Return the response of a lab's web server on a port of this host, once it is up."""

    def fetch() -> str:
        address = f"http://127.0.0.1:{port}/hostname"
        with urllib.request.urlopen(address, timeout=60) as answer:
            content: bytes = answer.read()
        return content.decode().strip()

    return wait_until(fetch, "served", within_s=120, ignore=[OSError])


def test_two_labs_serve_the_same_port_side_by_side() -> None:
    ports = free_port(), free_port()
    with (
        manager.throwaway(publish={ports[0]: 8000}) as one,
        manager.throwaway(publish={ports[1]: 8000}) as other,
    ):
        for each in (one, other):
            each.run([*SERVE, "python3", "-m", "http.server", "--bind=127.0.0.1", "8000"])
        assert get(ports[0]) == one.name
        assert get(ports[1]) == other.name
        inside = one.netns_argv(["curl", "--silent", "http://127.0.0.1:8000/hostname"])
        assert process.run(inside).stdout.strip() == one.name
        with pytest.raises(DeployError, match=f"port {ports[0]} of this host"):
            manager.start("late", publish={ports[0]: 8000})
        with pytest.raises(DeployError, match="is already running"):
            manager.start(one.name)


def test_a_shell_of_a_lab_reads_a_script_from_a_pipe(running: manager.Lab) -> None:
    shell = [sys.executable, str(REPO / "build.py"), "lab", "shell", running.name]
    done = process.run(shell, stdin="echo $LOGNAME\nexit 7", check=False)
    assert (done.returncode, done.stdout) == (7, "todo\n")


def test_labs_of_one_name_in_two_places_do_not_end_each_other(
    running: manager.Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with manager.throwaway(running.name) as twin:
        assert twin.run(["hostname"]).stdout.strip() == running.name
    assert running.run(["hostname"]).stdout.strip() == running.name


def test_published_port_passes_large_answers_whole() -> None:
    port = free_port()
    size = 64 * 1024 * 1024
    with manager.throwaway(publish={port: 8000}) as served:
        served.run(["truncate", f"--size={size}", "hostname"])
        there = ("systemd-run", "--user", "--working-directory=/home/todo")
        served.run([*there, "python3", "-m", "http.server", "--bind=127.0.0.1", "8000"])
        assert len(get(port)) == size


def test_the_user_has_a_session_and_the_checkout(running: manager.Lab) -> None:
    assert running.run(["id", "--user"]).stdout == "1000\n"
    asked = running.run(["systemctl", "--user", "is-system-running"]).stdout
    assert asked == "running\n"
    assert running.run(["systemctl", "is-active", "network-online.target"]).stdout == "active\n"
    head = running.run(["git", "-C", "/srv/todo-backend", "rev-parse", "HEAD"]).stdout
    assert head == process.run(["git", "-C", str(REPO), "rev-parse", "HEAD"]).stdout
    refused = running.run(["touch", "/srv/todo-backend/x"], user="root", check=False)
    assert "Read-only file system" in refused.stderr


def test_rootless_containers_reach_the_network(running: manager.Lab) -> None:
    # A container without an image: the lab's own programs.
    running.run(["mkdir", "-p", "root/usr", "root/etc"])
    for name in ("bin", "lib", "lib64"):
        running.run(["ln", "-s", f"usr/{name}", f"root/{name}"])
    podman = ["podman", "run", "--rm", "--volume=/usr:/usr:ro", "--rootfs", "/home/todo/root"]
    # Whichever mirror the lab's own packages came from.
    sources = running.run(["sh", "-c", "cat /etc/apt/sources.list*"], check=False).stdout
    host = sources.split("//", 1)[1].split("/", 1)[0]
    program = f"import socket; socket.create_connection(({host!r}, 80), 30)"
    running.run([*podman, "python3", "-c", program], timeout_s=120)


def test_images_are_shared_through_the_cache(running: manager.Lab) -> None:
    marker = f"/var/cache/lab/test-{running.name}"
    running.run(["touch", marker])
    with manager.throwaway() as other:
        other.run(["rm", marker])
    assert running.run(["test", "-e", marker], check=False).returncode == 1


def test_reboot_keeps_the_disk_and_brings_lingering_services_back() -> None:
    port = free_port()
    unit = "[Service]\nExecStart=python3 -m http.server --bind=127.0.0.1 --directory=/etc 8000\n"
    install = f"{unit}[Install]\nWantedBy=default.target\n"
    path = ".config/systemd/user"
    with manager.throwaway(publish={port: 8000}) as machine:
        machine.run(["mkdir", "-p", path])
        machine.run(["tee", f"{path}/web.service"], stdin=install)
        machine.run(["systemctl", "--user", "enable", "--now", "web"])
        boot = machine.run(["cat", "/proc/self/mountinfo"]).stdout
        before = machine.pid
        machine.reboot()
        assert machine.pid != before
        assert boot
        assert get(port) == machine.name


def test_what_a_timeout_ends_is_ended_inside(running: manager.Lab) -> None:
    with pytest.raises(process.ToolError, match=r"sleep \(in a lab\) did not end") as caught:
        running.run(["sleep", "1234"], timeout_s=1)
    assert caught.value.hint == f"to replay: build.py lab run {running.name} -- sleep 1234"
    assert running.run(["pgrep", "--full", "sleep 1234"], check=False).stdout == ""


def test_a_program_may_clean_up_when_it_is_interrupted(running: manager.Lab) -> None:
    script = "trap 'sleep 1; touch cleaned; exit' INT; sleep 1234 & wait"
    with pytest.raises(process.ToolError):
        running.run(["bash", "-c", script], timeout_s=1)
    running.run(["test", "-e", "cleaned"])


def test_root_without_the_right_to_make_namespaces_is_told_what_works() -> None:
    program = [sys.executable, str(REPO / "build.py"), "up", "--lab=never"]
    done = process.run(["setpriv", "--bounding-set=-sys_admin", *program], check=False)
    assert done.returncode == ExitCode.CONFIG
    (line,) = done.stderr.splitlines()
    assert "nor a lab (root cannot create namespaces here" in line
    assert "python3 build.py dev" in line


def test_journal_holds_no_lines_about_a_controller_that_the_lab_lacks(running: manager.Lab) -> None:
    # journald finds the unit and its filter by the process, which therefore has to wait.
    script = "echo 'Failed to open /sys/fs/cgroup/memory.events'; echo kept; exec sleep infinity"
    running.run(["systemd-run", "--user", "--unit=noisy", "sh", "-c", script])

    def read() -> str:
        return running.run(["journalctl", "--user", "--unit=noisy", "--output=cat"]).stdout

    try:
        wait_until(lambda: "kept" in read(), "the line is read", within_s=120)
        assert ("memory.events" in read()) is ("memory" in lab_cgroup.controllers())
    finally:
        running.run(["systemctl", "--user", "stop", "noisy"])


@pytest.mark.parametrize(
    ("contain", "room_mib", "code", "line"),
    [
        (
            ["unshare", "--mount"],
            200,
            ExitCode.NO_SPACE,
            "the lab's root file system needs 900 MiB",
        ),
        (
            ["unshare", "--mount", "--net"],
            2000,
            ExitCode.UNAVAILABLE,
            "mmdebstrap could not reach the network",
        ),
    ],
)
def test_root_build_that_cannot_be_says_so_in_a_line(
    contain: list[str], room_mib: int, code: ExitCode, line: str, tmp_path: Path
) -> None:
    script = 'mount -t tmpfs -o "size=$1m" lab "$2" && exec "$3" "$4" lab up short'
    argv = ["sh", "-c", script, "sh", str(room_mib), str(tmp_path)]
    done = process.run(
        [*contain, *argv, sys.executable, str(REPO / "build.py")],
        check=False,
        timeout_s=1800,
        env={"XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
    )
    errors = [text for text in done.stderr.splitlines() if text.startswith("build.py")]
    assert done.returncode == code
    assert len(errors) == 1
    assert errors[0].startswith(f"build.py: error: {line}")
