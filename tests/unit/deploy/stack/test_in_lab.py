from __future__ import annotations

import base64
import contextlib
import dataclasses
from typing import TYPE_CHECKING

import pytest

from deploy import command_hints, process
from deploy.cli.up import Up
from deploy.errors import DeployError, ExitCode
from deploy.host import probe
from deploy.image import build
from deploy.lab import manager, rootfs
from deploy.paths import REPO
from deploy.stack import in_lab, owners, ports
from deploy.stack.local_model import Model, Request
from tests.unit.deploy.host.test_probe import READY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclasses.dataclass
class FakeLab:
    """A lab that notes what is run in it."""

    publish: dict[int, int]
    checkout: str = str(REPO)
    name: str = command_hints.DEFAULT_LAB
    ran: list[list[str]] = dataclasses.field(default_factory=list)
    files: dict[str, str] = dataclasses.field(default_factory=dict)

    def run(self, argv: list[str]) -> process.Completed:
        """`ls` of the folder with the records, or `cat` of a file in it."""
        name = argv[1].rpartition("/")[2]
        out = "\n".join(self.files) if argv[0] == "ls" else self.files[name]
        return process.Completed(tuple(argv), 0, out, "")

    def interact(self, argv: list[str], *, env: dict[str, str]) -> int:
        self.ran.append([*argv, *(f"{name}={value}" for name, value in env.items())])
        return 0


HERE = in_lab.LabStack(command_hints.DEFAULT_LAB, "no systemd")
ROOT = dataclasses.replace(READY, root=True, user_manager="")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[FakeLab]:
    """The labs that run; `labs.start` adds one, and every port of the host is free."""
    there: list[FakeLab] = []

    def start(name: str, *, publish: dict[int, int], assume_yes: bool) -> FakeLab:
        assert assume_yes
        there.append(FakeLab(publish, name=name))
        return there[-1]

    monkeypatch.setattr(manager, "list_labs", lambda: there)
    monkeypatch.setattr(manager, "start", start)
    monkeypatch.setattr(probe, "probe", lambda: ROOT)
    monkeypatch.setattr(ports, "is_free", lambda _port: True)
    return there


def test_up_runs_in_the_lab_that_is_there(started: list[FakeLab]) -> None:
    started.append(FakeLab({8123: 8000, 9007: 9000}))
    assert HERE.up([], port=8123) == 0
    (words,) = started[0].ran
    assert words[2:] == [
        "up",
        "--image-cache=/var/cache/lab/images",
        "--no-lab",
        "BUILD_LAB=default",
        "BUILD_PUBLISHED_URL=http://127.0.0.1:8123",
        "BUILD_PUBLISHED_MANAGEMENT=http://127.0.0.1:9007",
    ]


def test_the_number_of_instances_reaches_the_lab(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    started.append(FakeLab({8000: 8000}))
    monkeypatch.setattr(in_lab, "find", lambda **_: HERE)
    assert Up.start(["build.py up", "--instances=3"]) == 0
    assert started[0].ran[0][5] == "--instances=3"


def test_up_starts_a_lab_and_publishes_both_ports(started: list[FakeLab]) -> None:
    in_lab.LabStack("second", None).up([], port=8123)
    (machine,) = started
    assert machine.name == "second"
    assert machine.publish == {8123: 8000, 9123: 9000}


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_the_lab_can_read_a_model_behind_a_symbolic_link(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int
) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"GGUF")
    blob.chmod(mode)
    link = tmp_path / "model.gguf"
    link.symlink_to("blob")
    (shared := tmp_path / "shared").mkdir()
    read: list[bytes] = []

    def interact(argv: list[str], **_: object) -> int:
        (path,) = (word for word in argv if word.startswith("--model="))
        inside = shared / "models" / path.rpartition("/")[2]
        assert not inside.is_symlink()
        read.append(inside.read_bytes())
        return 0

    machine = FakeLab({8000: 8000})
    monkeypatch.setattr(machine, "interact", interact)
    monkeypatch.setattr(rootfs, "shared_cache", lambda: shared)
    started.append(machine)

    assert HERE.up([], port=None, ai=Request(wanted=True, model=Model(link, "0" * 64, 4))) == 0

    assert read == [b"GGUF"]
    assert list((shared / "models").iterdir()) == []


def test_management_gets_the_next_port_where_its_own_is_taken(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: port not in {9000, 9001})
    HERE.up([], port=None)
    assert started[0].publish == {8000: 8000, 9002: 9000}


def test_management_port_of_a_high_public_port_is_a_port(started: list[FakeLab]) -> None:
    HERE.up([], port=65000)
    assert started[0].publish == {65000: 8000, 1024: 9000}


def test_port_that_is_taken_is_refused_before_a_lab_starts(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: port != 8000)
    with pytest.raises(DeployError, match="port 8000 of this host is taken") as caught:
        in_lab.LabStack("second", None).up([], port=None)
    assert "python3 build.py up --lab second --port 8001" in caught.value.hint
    assert started == []


@pytest.mark.parametrize(
    ("machine", "port", "said"),
    [
        (FakeLab({8000: 8000}), 8123, "runs already, and publishes port 8000"),
        (FakeLab({}), None, "runs already, and does not publish the backend"),
        (FakeLab({8000: 8000}, checkout="/srv/other"), None, "another checkout, /srv/other"),
    ],
)
def test_lab_that_is_another_one_gets_a_lab_beside_it_suggested(
    started: list[FakeLab], machine: FakeLab, port: int | None, said: str
) -> None:
    started.append(machine)
    with pytest.raises(DeployError) as caught:
        HERE.up([], port=port)
    assert said in caught.value.message
    assert f"python3 build.py up --lab lab2 --port {port or 8001}" in caught.value.hint
    assert "down" not in caught.value.hint
    assert caught.value.code == ExitCode.CONFIG
    assert machine.ran == []


@pytest.mark.parametrize("why", ["no systemd", None])
def test_the_package_lock_of_a_trial_is_where_the_guide_says(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: str | None
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    files = {"todo-db.packages.json": "{}", "todo-db.cdx.json": "{}", "layers.json": "[]"}
    started.append(FakeLab({8000: 8000}, files=files))
    assert in_lab.LabStack(command_hints.DEFAULT_LAB, why).image([], None, assume_yes=False) == 0
    found = {path.name for path in build.record_dir().glob("*")}
    # A host that builds by itself has records of its own.
    assert found == ({"todo-db.packages.json", "todo-db.cdx.json"} if why else set())


def test_command_for_a_named_lab_runs_there(started: list[FakeLab]) -> None:
    started += [FakeLab({8000: 8000}), FakeLab({8001: 8000}, name="second")]
    assert in_lab.LabStack("second", "no systemd").again("token", ["alice"]) == 0
    assert started[0].ran == []
    assert started[1].ran[0][2:5] == ["token", "--no-lab", "alice"]


@pytest.mark.parametrize(
    "act",
    [
        lambda lab: lab.again("status", []),
        lambda lab: lab.again("restore", ["--from=backup"]),
        lambda lab: lab.diagnose(7),
        lambda lab: lab.image([], None, assume_yes=False),
        lambda lab: lab.scan([], None),
    ],
    ids=["status", "restore", "diagnose", "image", "scan"],
)
@pytest.mark.parametrize("why", ["no systemd", None])
def test_each_command_refuses_a_named_lab_that_is_not_up_and_names_the_way_to_it(
    started: list[FakeLab],
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[in_lab.LabStack], object],
    why: str | None,
) -> None:
    # What another lab builds would be lost with it.
    monkeypatch.setattr(manager, "throwaway", lambda **_: pytest.fail("another lab"))
    started.append(FakeLab({}, name="secnod"))
    with pytest.raises(DeployError) as caught:
        act(in_lab.LabStack("second", why))
    assert caught.value.message == "no lab second is up; up are: secnod"
    assert caught.value.hint == (
        "python3 build.py up --lab second starts it, with a stack of its own"
    )
    assert caught.value.code == ExitCode.UNAVAILABLE


def test_an_image_that_goes_away_with_its_lab_is_said_to(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(in_lab, "fetch_records", lambda _: None)
    throwaway = FakeLab({})
    monkeypatch.setattr(manager, "throwaway", lambda **_: contextlib.nullcontext(throwaway))
    assert HERE.image([], None, assume_yes=False) == 0
    assert "as do its images; python3 build.py up starts one" in capsys.readouterr().err
    assert throwaway.ran
    started.append(FakeLab({8000: 8000}))
    assert HERE.image([], None, assume_yes=False) == 0
    assert "as do its images" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (dataclasses.replace(READY, user_manager=""), "a lab needs root"),
        (dataclasses.replace(ROOT, machines=False), "root cannot create namespaces here"),
    ],
)
def test_up_names_dev_where_neither_the_stack_nor_a_lab_can_run(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch, found: probe.Host, why: str
) -> None:
    monkeypatch.setattr(probe, "probe", lambda: found)
    with pytest.raises(DeployError) as caught:
        HERE.up([], port=None)
    assert "neither the stack (no systemd) nor a lab" in caught.value.message
    assert why in caught.value.message
    assert "python3 build.py dev" in caught.value.hint
    assert ("sudo" in caught.value.hint) is not found.root
    assert started == []


def test_root_learns_whose_the_stack_is(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "find_owners", lambda: ["alice"])
    with pytest.raises(DeployError, match="this is root, and the stack belongs to alice") as caught:
        HERE.again("status", ["--json"])
    assert "sudo -u alice python3 " in caught.value.hint
    assert "status --json;" in caught.value.hint
    started.append(FakeLab({8000: 8000}))
    assert HERE.again("status", []) == 0


def test_root_on_a_machine_without_a_stack_learns_how_to_start_one(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert started == []
    monkeypatch.setattr(owners, "find_owners", list)
    with pytest.raises(DeployError, match="nothing runs here") as caught:
        HERE.again("status", [])
    assert caught.value.hint == "python3 build.py up"


@pytest.mark.parametrize(
    ("linger", "said", "hint"),
    [
        (False, "who is not logged in and whose linger is off", "sudo loginctl enable-linger me"),
        (True, r"no user systemd session \(user me\)", "sudo systemctl restart user@"),
    ],
)
def test_a_user_without_a_user_manager_gets_one_line(
    started: list[FakeLab],
    monkeypatch: pytest.MonkeyPatch,
    *,
    linger: bool,
    said: str,
    hint: str,
) -> None:
    assert started == []
    lacking = dataclasses.replace(READY, user_manager="", linger=linger)
    monkeypatch.setattr(probe, "probe", lambda: lacking)
    with pytest.raises(DeployError, match=said) as caught:
        HERE.again("status", [])
    assert caught.value.message.startswith("the stack of me cannot be reached: ")
    assert caught.value.hint.startswith(hint)


def test_a_machine_without_systemd_has_no_command_for_a_session() -> None:
    lacking = dataclasses.replace(READY, user_manager="", systemd=False)
    assert probe.find_session_remedy(lacking) == ""
    assert probe.find_session_remedy(READY) == ""


def test_the_archive_of_diagnose_comes_out_of_the_lab_and_stays_not_in_it(
    started: list[FakeLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run(_self: FakeLab, argv: list[str], **_: object) -> process.Completed:
        ran.append(argv)
        said = base64.b64encode(b"\x1f\x8b").decode() if argv[0] == "base64" else ""
        return process.Completed(tuple(argv), 0, said, "")

    monkeypatch.setattr(FakeLab, "run", run)
    started.append(FakeLab({8000: 8000}))
    assert HERE.diagnose(7) == b"\x1f\x8b"
    name = ran[0][-1].removeprefix("--output=")
    assert ran[0][2:5] == ["diagnose", "--no-lab", "--lines=7"]
    assert ran[1:] == [["base64", name], ["rm", "-f", name]]
