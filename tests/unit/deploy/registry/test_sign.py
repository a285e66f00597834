"""Names, keys, policies and refusals of a registry, with a fake skopeo that records its calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy.cli import push
from deploy.errors import DeployError, ExitCode
from deploy.host import probe
from deploy.image import build
from deploy.paths import REPO
from deploy.registry import push as registry_push
from deploy.registry import sign
from deploy.registry import skopeo as registry_skopeo
from deploy.scan import gate
from deploy.scan import report as scan_report

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
NAME = "registry.example.org/todo/backend:1.0"
PASSPHRASE = "correct horse battery"  # noqa: S105 - of a key that is not one
SCANNING = gate.Options(offline=True)
EXAMPLES = REPO / "docs" / "examples"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


class Skopeo:
    """A program of that name which notes its arguments and input, and returns a given response."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer("", digest=DIGEST)

    def answer(self, output: str, *, digest: str = "", fails: bool = False) -> None:
        (self.folder / "answer").write_text(json.dumps([output, digest, fails]))

    @property
    def argv(self) -> list[str]:
        argv: list[str] = json.loads((self.folder / "argv").read_text())
        return argv

    @property
    def stdin(self) -> str:
        return (self.folder / "stdin").read_text()

    @property
    def ran(self) -> bool:
        return (self.folder / "argv").exists()


_STAND_IN = """#!{python}
import json, pathlib, sys
here = pathlib.Path({folder!r})
if sys.argv[1:] == ["--version"]:
    sys.exit(print("skopeo version 1.18.0"))
(here / "argv").write_text(json.dumps(sys.argv[1:]))
(here / "stdin").write_text(sys.stdin.read())
output, digest, fails = json.loads((here / "answer").read_text())
for word in sys.argv:
    if word.startswith("--digestfile="):
        pathlib.Path(word.partition("=")[2]).write_text(digest)
    if word.startswith("--output-prefix=") and fails:
        pathlib.Path(word.partition("=")[2] + ".private").write_text("half")
sys.stderr.write(output) if fails else sys.stdout.write(output)
sys.exit(fails)
"""


@pytest.fixture
def skopeo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Skopeo]:
    folder = tmp_path / "skopeo"
    folder.mkdir()
    program = folder / "skopeo"
    program.write_text(_STAND_IN.format(python=sys.executable, folder=str(folder)))
    program.chmod(0o755)
    # plumbum looks at its own copy of the environment.
    from plumbum import local  # noqa: PLC0415

    with local.env(PATH=f"{folder}:{local.env['PATH']}"):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        yield Skopeo(folder)


@pytest.fixture
def signer(tmp_path: Path) -> registry_skopeo.Signer:
    return registry_skopeo.Signer(tmp_path / "todo.private", PASSPHRASE)


class TestPolicy:
    def test_the_example_wants_of_this_project_what_verify_wants(self) -> None:
        policy = json.loads((EXAMPLES / "policy.json").read_text())
        ((scope, (requirement,)),) = policy["transports"].pop("docker").items()
        assert requirement == sign.render_requirement(Path(requirement["keyPath"]))
        settings = yaml.safe_load((EXAMPLES / "registries.yaml").read_text())
        assert settings == {"docker": {scope: {"use-sigstore-attachments": True}}}

    def test_the_example_rejects_what_no_rule_speaks_of_and_admits_no_archive(self) -> None:
        policy = json.loads((EXAMPLES / "policy.json").read_text())
        assert policy["default"] == [{"type": "reject"}]
        assert set(policy["transports"]) == {"docker", "containers-storage"}

    def test_verifying_accepts_one_repository_and_nothing_else(self) -> None:
        policy = sign.render_policy("r.io/a", Path("/k.pub"))
        assert policy["default"] == [{"type": "reject"}]
        assert list(policy["transports"]) == ["docker"]
        assert list(policy["transports"]["docker"]) == ["r.io/a"]


class TestPassphrase:
    def test_it_is_the_first_line_of_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "passphrase"
        file.write_text(f"{PASSPHRASE}\nmore\n")
        assert sign.read_passphrase(file) == PASSPHRASE

    def test_without_a_file_it_is_the_credential_of_the_unit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / sign.CREDENTIAL).write_text(PASSPHRASE)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        assert sign.read_passphrase(None) == PASSPHRASE

    def test_on_a_terminal_a_new_one_is_asked_for_twice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = ["x", "x", "x", "y", ""]
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("getpass.getpass", lambda _: answers.pop(0))
        assert sign.read_passphrase(None, confirm=True) == "x"
        with pytest.raises(DeployError, match="the two passphrases differ"):
            sign.read_passphrase(None, confirm=True)
        with pytest.raises(DeployError, match="the answer does not contain a passphrase"):
            sign.read_passphrase(None, confirm=True)

    def test_without_a_terminal_the_line_says_where_else_it_can_be(self) -> None:
        with pytest.raises(DeployError, match="--passphrase-file FILE or the systemd credential"):
            sign.read_passphrase(None)

    @pytest.mark.parametrize("content", [b"", b"\nsecond\n", b"\xff\xfe"])
    def test_a_file_without_one_is_refused(self, content: bytes, tmp_path: Path) -> None:
        file = tmp_path / "passphrase"
        file.write_bytes(content)
        with pytest.raises(DeployError) as caught:
            sign.read_passphrase(file)
        assert caught.value.code == ExitCode.CONFIG

    def test_it_shows_in_no_representation(self, signer: registry_skopeo.Signer) -> None:
        assert PASSPHRASE not in repr(signer)


class TestKeys:
    def test_a_new_pair_is_made_with_the_passphrase_on_standard_input(
        self, skopeo: Skopeo, tmp_path: Path
    ) -> None:
        prefix = tmp_path / "new" / "my.todo"
        private, public = sign.generate_key(prefix, PASSPHRASE)
        assert (private.name, public.name) == ("my.todo.private", "my.todo.pub")
        assert skopeo.stdin == f"{PASSPHRASE}\n"
        assert PASSPHRASE not in " ".join(skopeo.argv)
        assert prefix.parent.stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("ending", ["private", "pub"])
    def test_nothing_is_overwritten(self, ending: str, skopeo: Skopeo, tmp_path: Path) -> None:
        there = tmp_path / f"todo.{ending}"
        there.write_text("mine")
        with pytest.raises(DeployError, match="already exists, and keys are never overwritten"):
            sign.generate_key(tmp_path / "todo", PASSPHRASE)
        assert not skopeo.ran
        assert there.read_text() == "mine"

    def test_none_is_written_through_a_link(self, skopeo: Skopeo, tmp_path: Path) -> None:
        (tmp_path / "todo.private").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(DeployError, match="already exists"):
            sign.generate_key(tmp_path / "todo", PASSPHRASE)
        assert not skopeo.ran

    def test_a_folder_that_cannot_be_is_told(self, skopeo: Skopeo, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(DeployError, match=r"cannot create .*/file/x: Not a directory"):
            sign.generate_key(tmp_path / "file" / "x" / "todo", PASSPHRASE)
        assert not skopeo.ran

    @pytest.mark.parametrize(
        ("prefix", "problem"),
        [
            ("/proc/todo", "cannot create /proc/todo.private: No such file or directory"),
            ("/tmp/" + 300 * "x", ": File name too long"),  # noqa: S108 - is not made
            (".", "is a folder, not the name of a key"),
        ],
    )
    def test_a_file_that_cannot_be_is_told(self, skopeo: Skopeo, prefix: str, problem: str) -> None:
        with pytest.raises(DeployError, match=problem):
            sign.generate_key(Path(prefix), PASSPHRASE)
        assert not skopeo.ran

    def test_none_is_made_in_the_checkout(self, skopeo: Skopeo) -> None:
        with pytest.raises(DeployError, match="in the checkout"):
            sign.generate_key(REPO / "docs" / "todo", PASSPHRASE)
        assert not skopeo.ran

    def test_half_a_pair_is_taken_away(self, skopeo: Skopeo, tmp_path: Path) -> None:
        skopeo.answer('level=fatal msg="Error writing public key"', fails=True)
        with pytest.raises(DeployError):
            sign.generate_key(tmp_path / "todo", PASSPHRASE)
        assert list(tmp_path.glob("todo.*")) == []

    def test_one_that_is_not_there_is_said_before_anything_else(self, tmp_path: Path) -> None:
        with pytest.raises(DeployError, match=r"cannot read the key .*: No such file"):
            sign.get_signer(tmp_path / "none.private", None)


class TestSigning:
    def test_an_error_of_skopeo_that_nobody_foresaw_shows_its_words(self, skopeo: Skopeo) -> None:
        skopeo.answer('level=fatal msg="flux capacitor empty"', fails=True)
        with pytest.raises(DeployError, match="flux capacitor empty"):
            registry_skopeo.digest_of(registry_skopeo.parse(NAME))

    def test_the_digest_is_signed_in_place_under_the_name_of_the_tag(
        self, skopeo: Skopeo, signer: registry_skopeo.Signer
    ) -> None:
        sign.sign(registry_skopeo.parse(f"{NAME}@{DIGEST}"), signer)
        there = f"docker://registry.example.org/todo/backend@{DIGEST}"
        assert skopeo.argv[-2:] == [there, there]
        assert "--preserve-digests" in skopeo.argv
        assert f"--sign-identity={NAME}" in skopeo.argv
        assert skopeo.stdin == f"{PASSPHRASE}\n"
        assert PASSPHRASE not in " ".join(skopeo.argv)

    def test_a_tag_alone_is_not_signed(
        self, skopeo: Skopeo, signer: registry_skopeo.Signer
    ) -> None:
        with pytest.raises(ValueError, match="signed by digest"):
            sign.sign(registry_skopeo.parse(NAME), signer)
        assert not skopeo.ran

    def test_tls_is_left_out_on_a_loopback_alone(
        self, skopeo: Skopeo, signer: registry_skopeo.Signer
    ) -> None:
        sign.sign(registry_skopeo.parse(f"{NAME}@{DIGEST}"), signer)
        assert not [word for word in skopeo.argv if "tls-verify" in word]
        sign.sign(registry_skopeo.parse(f"localhost:5000/a@{DIGEST}"), signer)
        assert {"--src-tls-verify=false", "--dest-tls-verify=false"} <= set(skopeo.argv)

    def test_an_old_skopeo_is_refused(self, skopeo: Skopeo, tmp_path: Path) -> None:
        registry_skopeo.ensure_skopeo(assume_yes=False)
        program = tmp_path / "skopeo" / "skopeo"
        program.write_text(program.read_text().replace("1.18.0", "1.9.3"))
        with pytest.raises(DeployError, match=r"skopeo 1\.9\.3 is older than 1\.11\.0"):
            registry_skopeo.ensure_skopeo(assume_yes=False)
        assert not skopeo.ran


class TestPublishing:
    @pytest.fixture(autouse=True)
    def _here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        built = build.Image("backend", "localhost/todo-backend:latest", OTHER, 1, "")
        monkeypatch.setattr(build, "find", lambda target: built if target == "backend" else None)
        monkeypatch.setattr(gate, "require_clean", self.pass_scan)

    @staticmethod
    def pass_scan(target: str, options: gate.Options, *, reference: str) -> scan_report.Report:
        assert (target, options, reference) == ("backend", SCANNING, "b" * 64)
        asked = scan_report.AdvisorySource("nobody", left_out=True)
        return scan_report.Report(images=(), debian=asked, python=asked)

    def test_both_digests_are_recorded_under_the_name(self, skopeo: Skopeo) -> None:
        reference = registry_skopeo.parse(NAME)
        done = registry_push.push("backend", reference, scanning=SCANNING)
        assert (done.manifest_digest, done.config_digest) == (DIGEST, OTHER)
        assert "nothing else was checked" in done.claim
        assert registry_push.find_published(reference) == done
        assert skopeo.argv[-2] == f"containers-storage:@{'b' * 64}"

    def test_a_signed_push_opens_the_key_in_the_same_step(
        self, skopeo: Skopeo, signer: registry_skopeo.Signer
    ) -> None:
        registry_push.push("backend", registry_skopeo.parse(NAME), scanning=SCANNING, signer=signer)
        assert f"--sign-by-sigstore-private-key={signer.key}" in skopeo.argv
        assert skopeo.stdin == f"{PASSPHRASE}\n"

    def test_a_push_that_failed_leaves_no_record(self, skopeo: Skopeo) -> None:
        skopeo.answer('level=fatal msg="unauthorized"', fails=True)
        with pytest.raises(DeployError, match="rejected the login"):
            registry_push.push("backend", registry_skopeo.parse(NAME), scanning=SCANNING)
        assert registry_push.find_published(registry_skopeo.parse(NAME)) is None

    def test_what_does_not_pass_the_scan_goes_nowhere(
        self, skopeo: Skopeo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise DeployError("the backend image does not pass the scan")

        monkeypatch.setattr(gate, "require_clean", fail)
        with pytest.raises(DeployError, match="does not pass the scan"):
            registry_push.push("backend", registry_skopeo.parse(NAME), scanning=SCANNING)
        assert not skopeo.ran

    @pytest.mark.parametrize(
        ("target", "name", "line"),
        [
            ("db", NAME, "the db image does not exist"),
            ("backend", f"{NAME}@{DIGEST}", "the destination of a push cannot be a digest"),
        ],
    )
    def test_what_cannot_be_pushed_is_refused(
        self, target: str, name: str, line: str, skopeo: Skopeo
    ) -> None:
        with pytest.raises(DeployError, match=line):
            registry_push.push(target, registry_skopeo.parse(name), scanning=SCANNING)
        assert not skopeo.ran

    def test_a_host_that_only_tries_things_out_does_not_publish(
        self, skopeo: Skopeo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(probe, "why_not_here", lambda: "no user systemd session")
        with pytest.raises(DeployError, match="builds the images itself: no user systemd"):
            push.Push.start(["push", NAME])
        assert not skopeo.ran

    def test_what_was_pushed_is_what_is_signed(self, skopeo: Skopeo) -> None:
        registry_push.push("backend", registry_skopeo.parse(NAME), scanning=SCANNING)
        skopeo.answer(DIGEST)
        assert registry_push.get_signable(registry_skopeo.parse(NAME)) == registry_skopeo.parse(
            f"{NAME}@{DIGEST}"
        )

    def test_a_tag_that_was_moved_meanwhile_is_not_signed(self, skopeo: Skopeo) -> None:
        registry_push.push("backend", registry_skopeo.parse(NAME), scanning=SCANNING)
        skopeo.answer(OTHER)
        with pytest.raises(DeployError, match=f"now points to {OTHER}, but {DIGEST} was pushed"):
            registry_push.get_signable(registry_skopeo.parse(NAME))

    def test_a_tag_that_was_pushed_elsewhere_wants_its_digest(self, skopeo: Skopeo) -> None:
        with pytest.raises(DeployError, match="its digest is unknown"):
            registry_push.get_signable(registry_skopeo.parse(NAME))
        named = registry_skopeo.parse(f"{NAME}@{DIGEST}")
        assert registry_push.get_signable(named) == named
        assert not skopeo.ran

    @pytest.mark.parametrize("content", ["{", "[]", '{"x": {"foreign": "key"}}', '{"x": 1}'])
    def test_a_damaged_record_is_named(self, tmp_path: Path, content: str) -> None:
        file = tmp_path / "state" / "todo-backend" / "published.json"
        file.parent.mkdir(parents=True)
        file.write_text(content)
        with pytest.raises(DeployError, match=r"published\.json is damaged"):
            registry_push.find_published(registry_skopeo.parse(NAME))
