"""The local model: which units it adds, and what is refused."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from deploy import paths, process
from deploy.audit import rules
from deploy.cli.up import Up
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import install, lifecycle, local_model, up
from deploy.stack.local_model import UNCHANGED, Model, Request
from deploy.stack.services import AI, SERVICES, find_services
from deploy.units.compiler import compile_contract
from deploy.units.loader import AI_DROPIN, AI_UNITS, load_units
from deploy.units.parser import Unit, parse_unit

GIB = 1 << 30
CONTENT = b"GGUF" + b"\x03" * 96
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MODEL = Model(Path("/home/alice/model.gguf"), SHA256, GIB)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user for whom nothing is installed."""
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    return tmp_path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(CONTENT)
    return path


# -- What is installed ----------------------------------------------------------------------------


def test_a_stack_without_a_model_has_none_of_its_units() -> None:
    install.install(local_model.find_units(UNCHANGED))
    assert find_services() == SERVICES
    assert not {*local_model.find_units(UNCHANGED)} & {*AI_UNITS, AI_DROPIN, local_model.DROPIN}


def test_a_model_stays_until_it_is_not_wanted_any_more() -> None:
    install.install(local_model.find_units(Request(wanted=True, model=MODEL)))
    assert AI in find_services()
    kept = local_model.find_units(UNCHANGED)
    assert install.install(kept) == set()
    assert kept == local_model.find_units(Request(wanted=True))
    assert SHA256 in kept[local_model.DROPIN]

    removed = install.install(local_model.find_units(Request(wanted=False)))
    assert removed == {
        "40-ai.conf",
        "50-model.conf",
        "todo-ai-socket.volume",
        "todo-ai.container",
        "todo-model.volume",
    }
    assert find_services() == SERVICES
    assert not install.destination(local_model.DROPIN).parent.exists()


class Storage:
    """Podman with one volume, a folder, and a note of what was run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[list[str]] = []

    def run(self, argv: list[str], **_: object) -> process.Completed:
        self.ran.append(argv)
        if argv[:3] == ["podman", "volume", "inspect"]:
            return process.Completed(tuple(argv), 0, f"{self.folder}\n", "")
        if argv[:2] != ["podman", "unshare"]:
            return process.Completed(tuple(argv), 0, "", "")
        words = [word for word in argv[2:] if word != "--reflink=auto"]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        return process.Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


def test_a_copy_is_made_once_and_again_where_it_is_damaged(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    storage = Storage(volume)
    monkeypatch.setattr(process, "run", storage.run)
    model = local_model.check_file(file, SHA256)
    copied = volume / model.name

    def copies() -> int:
        return sum("cp" in argv for argv in storage.ran)

    local_model.copy(model)
    local_model.copy(model)
    assert (copied.read_bytes(), copies()) == (CONTENT, 1)

    copied.chmod(0o644)
    copied.write_bytes(CONTENT[:-1])
    local_model.copy(model)
    assert (copied.read_bytes(), copies()) == (CONTENT, 2)
    assert [path.name for path in volume.iterdir()] == [model.name]


def test_an_install_without_the_model_deletes_its_copy(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(argv: list[str], **_: object) -> process.Completed:
        ran.append(argv)
        return process.Completed(tuple(argv), 0, "", "")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(up, "build", lambda *_, **__: [])
    monkeypatch.setattr(lifecycle, "LINGERING", home)
    removal = [["podman", "volume", "rm", name] for name in local_model.VOLUMES]

    up.install(build.Options(), ai=UNCHANGED)
    assert not [argv for argv in ran if argv in removal]

    up.install(build.Options(), ai=Request(wanted=False))
    assert [argv for argv in ran if argv in removal] == removal
    # While their units count as active, another `up --ai` would not make the volumes.
    units = [f"{name}-volume.service" for name in local_model.VOLUMES]
    assert ran.index(["systemctl", "--user", "stop", *units]) < ran.index(removal[0])


def test_the_default_model_needs_no_drop_in_of_the_server() -> None:
    units = local_model.find_units(Request(wanted=True))
    assert local_model.DROPIN not in units
    assert units.keys() >= {*AI_UNITS, AI_DROPIN}


def merged(model: Model) -> list[Unit]:
    """The shipped units, with the drop-in of a model."""
    added = parse_unit("50-model.conf", local_model.render_dropin(model))
    return [
        Unit(unit.file, (*unit.lines, *added.lines)) if unit.name == "todo-ai.container" else unit
        for unit in load_units(ai=True)
    ]


def test_the_drop_in_of_a_model_compiles_and_breaks_no_rule() -> None:
    units = merged(MODEL)
    assert rules.audit(units) == []
    server = compile_contract(units).container("todo-ai")
    assert server.env["AI_MODEL_FILE"] == f"/model/{SHA256}.gguf"
    assert server.env["AI_MODEL_SHA256"] == SHA256
    (mount,) = (each for each in server.mounts if each.volume == "todo-model")
    assert (mount.path, mount.read_only) == ("/model", True)
    assert server.limits.memory == local_model.memory_limit(GIB)


def test_an_endpoint_elsewhere_inherits_nothing_of_the_local_model() -> None:
    name = "todo-backend.container.d/60-ai-endpoint.conf"
    added = parse_unit(name, (paths.QUADLET / "dropins" / name).read_text())
    units = load_units(ai=True)
    (backend,) = (unit for unit in units if unit.name == "todo-backend.container")
    others = [unit for unit in units if unit is not backend]
    both = compile_contract([*others, Unit(backend.file, (*backend.lines, *added.lines))])

    changed = both.container("todo-backend").env
    assert changed["TODO_AI_MODE"] == "auto"
    assert changed["TODO_AI_PARALLEL_REQUESTS"] == "0"
    assert changed["TODO_AI_URL"].startswith("https:")


@pytest.mark.parametrize(("size", "limit"), [(0, GIB), (1, GIB + GIB // 4), (GIB, 3 * GIB)])
def test_the_memory_limit_grows_with_the_model(size: int, limit: int) -> None:
    assert local_model.memory_limit(size) == limit


def test_the_default_model_fits_into_the_limit_of_its_unit() -> None:
    limit = compile_contract(load_units(ai=True)).container("todo-ai").limits.memory
    assert limit is not None
    assert limit >= GIB


# -- What is refused ------------------------------------------------------------------------------


def test_a_file_with_its_hash_is_taken(file: Path) -> None:
    for written in (SHA256, SHA256.upper(), f"sha256:{SHA256}"):
        assert local_model.check_file(file, written) == Model(file, SHA256, len(CONTENT))


@pytest.mark.parametrize(
    ("content", "sha256", "message", "code"),
    [
        (CONTENT, "0" * 64, f"has the SHA-256 {SHA256}, expected 000", ExitCode.DATA),
        (CONTENT, "abc", "abc is not a SHA-256", ExitCode.USAGE),
        (b"PK\x03\x04", SHA256, "is not a model in the GGUF format", ExitCode.DATA),
        (b"", SHA256, "is not a model in the GGUF format", ExitCode.DATA),
        (None, SHA256, ": No such file or directory", ExitCode.USAGE),
    ],
)
def test_a_file_that_is_not_the_model_is_refused(
    tmp_path: Path, content: bytes | None, sha256: str, message: str, code: ExitCode
) -> None:
    path = tmp_path / "other.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeployError, match=message) as caught:
        local_model.check_file(path, sha256)
    assert caught.value.code == code


def test_a_model_larger_than_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.gguf"
    with path.open("wb") as large:
        large.write(b"GGUF")
        large.truncate(1 << 42)
    with pytest.raises(DeployError, match="needs more memory than this machine has: 4096"):
        local_model.check_file(path, SHA256)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ai", "--no-ai"], "are mutually exclusive"),
        (["--ai", "--model=x"], "--model requires --sha256"),
        (["--ai", f"--sha256={SHA256}"], "--model requires --sha256"),
        (["--model=x", f"--sha256={SHA256}"], "require --ai"),
        (["--no-ai", "--model=x"], "are mutually exclusive"),
    ],
)
def test_switches_that_do_not_go_together_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(DeployError, match=message) as caught:
        Up.start(["up", "--no-lab", *words])
    assert caught.value.code == ExitCode.USAGE
