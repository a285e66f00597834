"""`build.py admin`: files of this machine for a command that runs elsewhere.

In the place of Podman there is a program that hands descriptors to the command as Podman does.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jwt
import pytest

from deploy.errors import DeployError
from deploy.paths import REPO
from deploy.stack import admin
from tests.integration.service import SECRET, call_admin, make_environment, open_folder

PODMAN = """
    import contextlib, os, sys
    words = sys.argv[1:]
    if words[:2] == ["podman", "ps"]:
        print(os.environ["RUNNING"])
    else:
        at = words.index(sorted(os.environ["RUNNING"].split())[0])
        assert words[:2] == ["podman", "exec"] and at <= 3, words
        # A container sees nothing of this machine but what it is handed.
        os.chdir("/")
        given = "".join(words[2:at]).partition("=")[2].split(",")
        for number in range(3, 100):
            if str(number) not in given:
                with contextlib.suppress(OSError):
                    os.close(number)
        os.execv(sys.executable, [sys.executable, *words[at + 2 :]])
"""
LINE = '{"todo-backend":{"format":1}}\n'
ALICE = '{"account":{"owner":"alice","zone":"UTC"}}\n'
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """A migrated database in which alice has an account."""
    environment = make_environment(folder, {"TODO_DATABASE_URL": f"sqlite:///{folder}/todo.db"})
    assert call_admin(environment, "migrate").returncode == 0
    (folder / "podman.py").write_text(textwrap.dedent(PODMAN))
    (folder / "given").write_text(LINE + ALICE)
    assert call_admin(environment, "import", str(folder / "given")).returncode == 0
    return environment | {"RUNNING": "todo-backend-2 todo-backend"}


def command(folder: Path, words: Sequence[str]) -> list[str]:
    """A program that does what `build.py admin` does, with another Podman."""
    program = f"""
        import sys
        sys.path.insert(0, {str(REPO / "src")!r})
        from deploy.bootstrap import entrypoint as boundary
        from deploy.stack import admin
        within = lambda argv: [sys.executable, {str(folder / "podman.py")!r}, *argv]
        sys.exit(boundary.guard(lambda: admin.run(sys.argv[1:], within=within)))
    """
    return [sys.executable, "-c", textwrap.dedent(program), *words]


@pytest.fixture
def run(folder: Path, environment: dict[str, str]) -> Run:
    def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(folder, words),
            env=environment,
            cwd=folder,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_an_export_goes_to_a_file_of_this_machine(run: Run, folder: Path) -> None:
    done = run("export", "--output", "out")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "out").read_text() == LINE + ALICE
    assert (folder / "out").stat().st_mode & 0o777 == 0o600
    assert run("export").stdout == run("export", "--output", "-").stdout == LINE + ALICE


def test_a_failing_export_leaves_what_was_there(run: Run, folder: Path) -> None:
    (folder / "out").write_text("before")
    files = sorted(folder.iterdir())

    done = run("export", "--owner", "bob", "--output", "out")

    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == "build.py: error: --owner: unknown account bob\n"
    assert (folder / "out").read_text() == "before"
    assert sorted(folder.iterdir()) == files


@pytest.mark.parametrize("in_container", [True, False])
def test_an_export_writes_to_a_device_a_fifo_and_through_a_symlink(
    run: Run, environment: dict[str, str], folder: Path, *, in_container: bool
) -> None:
    def export(name: str) -> tuple[int, str, str]:
        words = ("export", "--output", str(folder / name))
        done = run(*words) if in_container else call_admin(environment, *words)
        return done.returncode, done.stdout, done.stderr

    (folder / "link").symlink_to("target")
    (folder / "null").symlink_to("/dev/null")
    os.mkfifo(folder / "fifo")
    # Opened for both, so that nobody waits for the other.
    fifo = os.open(folder / "fifo", os.O_RDWR | os.O_NONBLOCK)
    try:
        files = {file.name for file in folder.iterdir()}
        assert [export(name) for name in ("link", "null", "fifo")] == [(0, "", "")] * 3
        assert os.read(fifo, 1000).decode() == LINE + ALICE
    finally:
        os.close(fifo)

    assert (folder / "target").read_text() == LINE + ALICE
    assert (folder / "link").is_symlink()
    assert (folder / "null").is_char_device()
    assert (folder / "fifo").is_fifo()
    assert {file.name for file in folder.iterdir()} == files | {"target"}
    code, out, error = export("fifo/x")
    assert (code, out) == (64, "")
    assert error.endswith(f"error: cannot write {folder}/fifo/x: Not a directory\n")


@pytest.mark.parametrize("in_container", [True, False])
def test_an_export_has_any_name_that_a_file_may_have(
    run: Run, environment: dict[str, str], folder: Path, *, in_container: bool
) -> None:
    words = ("export", "--output", str(folder / ("x" * 255)))
    done = run(*words) if in_container else call_admin(environment, *words)

    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / ("x" * 255)).read_text() == LINE + ALICE


@pytest.mark.parametrize("by_pipe", [True, False])
def test_an_import_reads_a_file_or_a_pipe(run: Run, folder: Path, *, by_pipe: bool) -> None:
    lines = LINE + ALICE + ALICE.replace("alice", "bob").replace("UTC", "Asia/Tokyo")
    (folder / "in").write_text(lines)

    done = run("import", "-", given=lines) if by_pipe else run("import", "in")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "imported: account 1; already present: 1; skipped: 0\n"


def test_a_pipe_that_is_given_by_name_is_spooled_on_this_machine(run: Run, folder: Path) -> None:
    # The container has no room for it: it gets what can be read more than once.
    podman = folder / "podman.py"
    check = "words = sys.argv[1:]\nnames = words[words.index('--descriptors') + 1]"
    check += "\nos.lseek(int(names.partition('input=')[2].partition(',')[0]), 0, os.SEEK_END)"
    podman.write_text(
        podman.read_text().replace(
            "    os.chdir", "    " + "; ".join(check.splitlines()) + "\n    os.chdir"
        )
    )

    done = run("import", "/dev/stdin", given=LINE + ALICE)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "imported: nothing; already present: 1; skipped: 0\n"


def test_a_closed_standard_input_is_an_empty_one(environment: dict[str, str], folder: Path) -> None:
    podman = folder / "podman.py"
    refuse = "assert min(int(number) for number in given) > 2, given\n    for number in range(3"
    podman.write_text(podman.read_text().replace("for number in range(3", refuse))
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *command(folder, ["export"])]

    done = subprocess.run(closed, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, LINE + ALICE, "")


def test_heads_are_written_and_compared_on_this_machine(run: Run, folder: Path) -> None:
    written = run("verify", "--export-head", "heads")
    assert (written.returncode, written.stdout) == (0, "verified 1 journals, 0 entries\n")
    (folder / "wrong").write_text("x")

    assert run("verify", "--head", "heads").returncode == 0
    wrong = run("verify", "--head", "wrong", "--export-head", "more")
    assert wrong.returncode == 64
    assert "wrong, line 1: is not a journal head" in wrong.stderr
    assert not (folder / "more").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("import", "absent"), "cannot read absent: No such file or directory"),
        (("export", "--output", "no/where"), "cannot write no/where: No such file or directory"),
        (("export", "--output", "."), "cannot write .: Is a directory"),
        (("exprt",), "unknown command exprt, must be one of: token, "),
        (
            ("token", "--subject", "a", "--scope", "x"),
            "--scope: unknown scope x, must be one of: admin, assistant, delete, read, write — see",
        ),
    ],
)
def test_what_is_wrong_here_is_said_before_the_backend_is_asked(
    run: Run, environment: dict[str, str], words: tuple[str, ...], line: str
) -> None:
    environment["RUNNING"] = ""
    done = run(*words)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)
    assert done.stderr.startswith(f"build.py: error: {line}")


def test_help_needs_no_backend(run: Run, environment: dict[str, str]) -> None:
    environment["RUNNING"] = ""
    done = run("export", "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python3 build.py admin export [-h] [--owner USER]")


def test_a_backend_that_is_down_is_named_with_the_way_out(
    run: Run, environment: dict[str, str], folder: Path
) -> None:
    environment["RUNNING"] = ""
    done = run("export", "--output", "out")

    assert done.returncode == 69
    assert "the backend is not running" in done.stderr
    assert "python3 build.py status" in done.stderr
    assert not (folder / "out").exists()


def test_commands_run_in_another_instance_while_the_first_one_is_down(
    run: Run, environment: dict[str, str]
) -> None:
    environment["RUNNING"] = "todo-backend-3 todo-backend-2"
    done = run("export")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_leaves_ends_the_export_quietly(
    environment: dict[str, str], folder: Path
) -> None:
    # More than any buffer on the way holds.
    many = [ALICE.replace("alice", f"user{number}") for number in range(2000)]
    (folder / "many").write_text(LINE + "".join(many))
    assert call_admin(environment, "import", str(folder / "many")).returncode == 0
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        argv = command(folder, ["export"])
        done = subprocess.run(argv, env=environment, stdout=out, stderr=-1, check=False)

    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_whoever_interrupts_it_ends_the_command_in_the_container(
    environment: dict[str, str], folder: Path, number: signal.Signals, word: str
) -> None:
    # A FIFO as the database's secret would do as well: anything that the command waits for.
    os.mkfifo(folder / "fifo")
    environment["TODO_TOKEN_SECRET_FILE"] = str(folder / "fifo")
    files = sorted(folder.iterdir())
    words = ["token", "--subject", "alice"]
    process = subprocess.Popen(command(folder, words), env=environment, stderr=-1, text=True)
    while not (inside := find_reader_of(folder / "fifo")):
        assert process.poll() is None
        time.sleep(0.05)

    process.send_signal(number)
    _out, errors = process.communicate()

    assert process.returncode == 128 + number
    assert errors == f"build.py: {word}\n"
    assert not Path(f"/proc/{inside}").exists()
    assert sorted(folder.iterdir()) == files


def find_reader_of(fifo: Path) -> str | None:
    """The process that waits in open() for somebody who writes to a FIFO."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            waits = (folder / "wchan").read_text() == "wait_for_partner"
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if waits and os.fsencode(fifo) in environ:
            return folder.name
    return None


def test_a_token_of_the_backend_has_days_and_scopes(
    environment: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, **environment})

    def within(argv: Sequence[str]) -> list[str]:
        return [sys.executable, str(folder / "podman.py"), *argv]

    issued = admin.token("alice", days="7", scopes=["read"], within=within)

    claims = jwt.decode(issued, SECRET, algorithms=["HS256"])
    assert (claims["exp"] - claims["iat"], claims["scope"]) == (7 * 86_400, "read")
    with pytest.raises(DeployError, match="no token: --days: must be a whole number from 1 to 365"):
        admin.token("alice", days="0", within=within)


def test_a_token_of_the_backend_with_a_name_can_be_listed(
    environment: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, **environment})

    def within(argv: Sequence[str]) -> list[str]:
        return [sys.executable, str(folder / "podman.py"), *argv]

    issued = admin.token(
        "agents", days="7", scopes=["read"], name="night shift", writes_per_hour="9", within=within
    )

    assert issued.startswith("todo_")
    (line,) = call_admin(environment, "tokens", "--owner", "agents", "--json").stdout.splitlines()
    shown = json.loads(line)
    assert (shown["name"], shown["scopes"], shown["writes_per_hour"]) == (
        "night shift",
        ["read"],
        9,
    )
    with pytest.raises(DeployError, match="no token: --writes-per-hour: must be a whole number"):
        admin.token("agents", name="x", writes_per_hour="0", within=within)
    with pytest.raises(DeployError, match="no token: --name: must be 1 to"):
        admin.token("agents", name=" ", within=within)
    with pytest.raises(DeployError, match="no token: --writes-per-hour requires --name"):
        admin.token("agents", writes_per_hour="1", within=within)
