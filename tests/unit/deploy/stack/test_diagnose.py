"""The archive for a bug report: what is in it, and that no secret is."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.cli.main import Build
from deploy.errors import DeployError, ExitCode
from deploy.progress import Step
from deploy.stack import diagnose, in_lab, install, owners, quadlet
from deploy.stack.services import BACKEND, SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

AT = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
TITLE = "Call the dentist"
SECRETS = {
    "the token secret": "Zm9yIHRva2Vucywgbm90IGZvciBwZW9wbGU",
    "password in an address": "url-pa55",
    "password in an address, encoded": "p%40ss-w0rd",
    "key of the model server": "sk-model-0001",
    "an unknown variable": "unnamed-but-private",
    "a former value in a comment": "former-pa55",
    "a file of variables": "from-a-file-1",
    "an option of podman": "podman-args-1",
    "a unit of the user": "service-env-1",
    "a credential of systemd": "credential-1",
    "a variable of the shell": "exported-key-1",
    "a removed variable that still runs": "still-running-1",
    "a secret of podman beside ours": "second-secret-1",
    "a token in the log": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    "text of a task": TITLE,
}
DROP_IN = f"""\
# Environment=TODO_AI_KEY={SECRETS["a former value in a comment"]}
[Container]
Environment=TODO_DATABASE_URL=postgresql+psycopg://todo:{SECRETS["password in an address"]}@db/todo
Environment=TODO_AI_KEY={SECRETS["key of the model server"]} \\
    OTHER={SECRETS["an unknown variable"]}
Environment=TODO_AI_URL=https://u:{SECRETS["password in an address, encoded"]}@model/v1
EnvironmentFile=%h/more.env
Secret=second,type=env,target=SECOND
PodmanArgs=--env X={SECRETS["an option of podman"]}
"""
SERVICE = f"""\
[Service]
Environment=MY_TOKEN="{SECRETS["a unit of the user"]}"
SetCredential=id:{SECRETS["a credential of systemd"]}
"""
RUNNING = ["PATH=/usr/bin", f"GONE_PASSWORD={SECRETS['a removed variable that still runs']}"]


class FakeMachine:
    """Programs that print secrets wherever a real one could."""

    def run(self, argv: Sequence[str], **_: object) -> process.Completed:
        said = ""
        if argv[:3] == ["podman", "secret", "inspect"]:
            ours = argv[-1] == "todo-token-secret"
            name = "the token secret" if ours else "a secret of podman beside ours"
            said = f"{SECRETS[name]}\n"
        elif argv[:3] == ["podman", "container", "inspect"] and "Env" in argv[3]:
            said = json.dumps(RUNNING)
        elif argv[:2] == ["podman", "info"]:
            said = json.dumps(
                {"host": {"proxy": f"http://u:{SECRETS['password in an address']}@p"}}
            )
        elif argv[:3] == ["podman", "volume", "inspect"]:
            said = "/\n"
        elif argv[:3] == ["podman", "unshare", "stat"]:
            said = "4096 1000 400 100 50\n"
        elif argv[0] in {"podman", "systemctl"}:
            # As in the description of a unit, or in the name of a container.
            said = f"{argv[0]} prints {' '.join(SECRETS.values()).replace(TITLE, '')}\n"
        return process.Completed(tuple(argv), 0, said, "")

    def follow(self, _argv: Sequence[str]) -> Iterator[str]:
        password = SECRETS["password in an address, encoded"].replace("%40", "@")
        events = [
            json.dumps({"message": "m", "error": f"refused {SECRETS['key of the model server']}"}),
            json.dumps({"message": f"Bearer {SECRETS['a token in the log']}"}),
            f"cannot connect with {password}",
            f"[7] todo@todo DETAIL:  Failing row contains (1, {TITLE})",
            f"\tVALUES ('{TITLE}')",
        ]
        for event in events:
            yield json.dumps(
                {"MESSAGE": event, "CONTAINER_NAME": "todo-db", "__REALTIME_TIMESTAMP": "1000000"}
            )


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stack with a secret in each place that can hold one; gives the user's home."""
    machine = FakeMachine()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CACHE_HOME", "CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    monkeypatch.setenv("MODEL_API_KEY", SECRETS["a variable of the shell"])
    monkeypatch.setattr(process, "run", machine.run)
    monkeypatch.setattr(process, "follow", machine.follow)
    monkeypatch.setattr(process, "find", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(quadlet, "find_generator", lambda: None)
    install.install(install.shipped())
    container = BACKEND.replace(".service", ".container")
    for unit, text in ((container, DROP_IN), (BACKEND, SERVICE)):
        folder = install.destination(f"{unit}.d")
        folder.mkdir(parents=True)
        (folder / "60-mine.conf").write_text(text)
    (tmp_path / "more.env").write_text(f"A_PASSWORD={SECRETS['a file of variables']}\n")
    return tmp_path


def collect() -> dict[str, str]:
    return {each.name: each.content for each in diagnose.collect(100, Step("Collecting"))}


def test_no_secret_is_in_the_archive(planted: Path) -> None:
    assert planted.is_dir()
    archive = diagnose.pack("x", diagnose.collect(100, Step("Collecting")), AT)
    files = unpack(archive)

    found = {
        what: [name for name, text in files.items() if secret in text]
        for what, secret in SECRETS.items()
    }
    assert {what: names for what, names in found.items() if names} == {}


def test_a_password_is_not_in_the_archive_decoded_either(planted: Path) -> None:
    assert planted.is_dir()
    assert "p@ss-w0rd" not in "".join(collect().values())


def test_what_helps_is_in_the_archive(planted: Path) -> None:
    found = collect()

    drop_in = next(
        text for name, text in found.items() if name.endswith("container.d/60-mine.conf")
    )
    assert "TODO_DATABASE_URL=postgresql+psycopg://todo:***@db/todo" in drop_in
    assert "TODO_AI_KEY=*** OTHER=***" in drop_in
    socket = next(text for name, text in found.items() if name.endswith(f"/{SOCKET}"))
    assert "ListenStream=127.0.0.1:8000" in socket
    assert json.loads(found["status.json"])["format"] == 1
    options = {each["name"]: each for each in json.loads(found["config.json"])["options"]}
    assert options["TODO_AI_KEY"]["value"] == "***"
    assert json.loads(found["versions.json"])["python"]
    assert "podman ps" in found["containers.txt"]
    assert [json.loads(line)["unit"] for line in found["logs/db.jsonl"].splitlines()] == ["db"] * 5
    assert json.loads(found["podman-info.json"]) == {"host": {"proxy": "http://u:***@p"}}
    assert planted.name in found["disks.json"]


def test_a_part_that_fails_says_why_and_the_rest_is_there(
    planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(argv: Sequence[str], **_: object) -> process.Completed:
        raise DeployError(f"{argv[0]} does not answer")

    monkeypatch.setattr(process, "run", fail)
    found = collect()

    assert found["podman-info.json"] == "unknown: podman does not answer\n"
    assert "unknown" in json.loads(found["status.json"])
    assert (
        "ListenStream"
        in found[f"units/{str(planted).strip('/')}/CONFIG_HOME/systemd/user/{SOCKET}"]
    )


def test_the_list_in_the_archive_has_every_file(planted: Path) -> None:
    assert planted.is_dir()
    files = unpack(diagnose.pack("x", diagnose.collect(1, Step("Collecting")), AT))

    listed = {line.split("  ")[0] for line in files[diagnose.MANIFEST].splitlines() if "  " in line}
    assert listed == set(files) - {diagnose.MANIFEST}
    assert "Look through the files before you send them." in files[diagnose.MANIFEST]


def test_only_its_owner_can_read_the_archive_and_it_replaces_nothing(
    planted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(in_lab, "find", lambda **_: None)
    path = planted / "report.tar.gz"
    words = ["build.py", "diagnose", f"--output={path}"]

    assert Build.start(words) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{path} (")
    assert "status.json" in shown
    assert f"Review it before you send it: tar -xzf {path}" in shown
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    before = path.read_bytes()
    with pytest.raises(DeployError, match=r"report\.tar\.gz: it exists") as caught:
        Build.start(words)
    assert caught.value.code == ExitCode.USAGE
    assert path.read_bytes() == before


def test_a_folder_that_is_missing_is_refused_before_anything_is_collected(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="its folder does not exist"):
        Build.start(["build.py", "diagnose", f"--output={tmp_path}/none/x.tar.gz"])


def test_the_archive_of_a_lab_is_written_on_this_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class FakeLab:
        def is_up(self) -> bool:
            return True

        def diagnose(self, lines: int) -> bytes:
            entry = diagnose.Entry("status.json", "the state", "x" * lines)
            return diagnose.pack("x", [entry], AT)

    monkeypatch.setattr(in_lab, "find", lambda **_: FakeLab())
    path = tmp_path / "x.tar.gz"

    assert Build.start(["build.py", "diagnose", f"--output={path}", "--lines=7"]) == 0
    assert diagnose.read_contents(path.read_bytes())[1] == ("status.json", 7)


@pytest.mark.parametrize(
    ("root", "stacks", "says"),
    [(False, ["alice"], ""), (True, [], ""), (True, ["alice"], "the stack belongs to alice")],
)
def test_where_nothing_can_be_reached_the_archive_is_about_this_host(
    planted: Path, monkeypatch: pytest.MonkeyPatch, *, root: bool, stacks: list[str], says: str
) -> None:
    class NoLab:
        def is_up(self) -> bool:
            return False

        def diagnose(self, _lines: int) -> bytes:
            raise DeployError("this is root, and the stack belongs to alice")

    monkeypatch.setattr(in_lab, "find", lambda **_: NoLab())
    monkeypatch.setattr(owners, "find_owners", lambda: stacks)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    path = planted / "x.tar.gz"
    with pytest.raises(DeployError, match=says) if says else contextlib.nullcontext():
        assert Build.start(["build.py", "diagnose", f"--output={path}"]) == 0
    assert path.exists() is not bool(says)


def unpack(archive: bytes) -> dict[str, str]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for member in opened:
            content = opened.extractfile(member)
            assert content is not None
            found[member.name.partition("/")[2]] = content.read().decode()
    return found
