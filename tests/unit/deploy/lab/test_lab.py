from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.host import cgroup as lab_cgroup
from deploy.lab import processes as lab_processes
from deploy.lab import rootfs as lab_rootfs
from deploy.lab import state as lab_state
from deploy.lab import supervisor as lab_supervisor

PLAN = lab_supervisor.Plan(
    name="trial",
    folder="/state/labs/trial",
    tree="/cache/lab/abc-1",
    cache="/cache/lab-cache",
    checkout="/home/me/a:b",
    life=9,
    listening={7: 8000},
    systemd=False,
)


def test_key_follows_the_certificates_of_the_host() -> None:
    plain = lab_rootfs.key({})
    assert plain == lab_rootfs.key({})
    assert plain != lab_rootfs.key({"own.crt": b"one"})
    assert lab_rootfs.key({"own.crt": b"one"}) != lab_rootfs.key({"own.crt": b"two"})


def test_key_follows_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    before = lab_rootfs.key({})
    monkeypatch.setattr(lab_rootfs, "_PACKAGES", ("systemd",))
    assert before != lab_rootfs.key({})


def test_bootstrap_names_no_mirror_and_dies_with_its_parent() -> None:
    argv = lab_rootfs.bootstrap_argv(Path("/cache/new/root"))
    assert argv[:3] == ["setpriv", "--pdeathsig=KILL", "unshare"]
    assert argv[-2:] == ["trixie", "/cache/new/root"]
    assert not [word for word in argv if "://" in word]


def test_nspawn_gives_the_lab_its_own_network_and_escapes_colons() -> None:
    argv = lab_supervisor.nspawn_argv(PLAN)
    assert "--network-namespace-path=/state/labs/trial/netns" in argv
    assert r"--bind-ro=/home/me/a\:b:/srv/todo-backend" in argv
    assert "--bind=/cache/lab-cache:/var/cache/lab" in argv
    assert "--keep-unit" in argv


def test_nspawn_asks_a_running_systemd_for_a_scope() -> None:
    argv = lab_supervisor.nspawn_argv(dataclasses.replace(PLAN, systemd=True))
    assert "--keep-unit" not in argv


def test_plan_reaches_the_keeper_whole() -> None:
    argv = lab_supervisor.keeper_argv(PLAN)
    assert lab_supervisor.parse_plan(argv[-1]) == PLAN


def test_podman_is_told_where_controllers_are_missing() -> None:
    assert "pids_limit = 0" in lab_supervisor.containers_conf(frozenset({"hugetlb"}))
    present = frozenset({"cpu", "io", "memory", "pids"})
    assert "pids_limit" not in lab_supervisor.containers_conf(present)


def test_journal_is_filtered_where_the_memory_controller_is_missing() -> None:
    assert "memory" in lab_supervisor.log_filter(frozenset({"hugetlb"}))
    assert lab_supervisor.log_filter(frozenset({"memory"})) == ""


HYBRID = """\
25 21 0:22 / /sys/fs/cgroup rw shared:4 - tmpfs tmpfs ro,mode=755
26 25 0:23 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
27 25 0:24 / /sys/fs/cgroup/systemd rw,nosuid shared:6 - cgroup cgroup rw,xattr,name=systemd
28 25 0:25 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
"""


def test_hierarchies_are_those_that_systemd_arranges() -> None:
    expected = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd")]
    assert expected == lab_cgroup.hierarchies(HYBRID)


def test_hierarchy_of_an_ordinary_host() -> None:
    line = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    assert [Path("/sys/fs/cgroup")] == lab_cgroup.hierarchies(line)


def test_status_tells_parent_and_ids_from_the_outside_in() -> None:
    text = "Name:\tsystemd\nPPid:\t41\nTracerPid:\t0\nNSpid:\t42\t17\t1\n"
    assert lab_processes.parse_status(text) == (41, (42, 17, 1))


@pytest.mark.parametrize("name", ["default", "a", "run-1f", "a" * 32])
def test_names_that_can_be_host_names_pass(name: str) -> None:
    assert name == lab_state.check_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "../x", "a" * 33, "a\n"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(DeployError, match="is not a valid lab name"):
        lab_state.check_name(name)


def test_record_of_a_lab_that_nobody_keeps_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "todo-backend" / "labs" / "gone"
    folder.mkdir(parents=True)
    record = lab_state.Record("gone", 1, {8000: 8000}, "/cache/lab/abc-1", "/srv/checkout")
    lab_state.write(folder, record)
    assert json.loads((folder / "lab.json").read_text())["name"] == "gone"
    assert lab_state.find("gone") is None


def test_a_file_that_is_not_a_lab_is_not_in_the_way_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "todo-backend" / "labs" / "Notes.txt").mkdir(parents=True)
    assert lab_state.records() == []
