import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from plumbum import cli

from deploy import command_hints
from deploy.bootstrap import entrypoint
from deploy.cli import command, listing, main
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("BUILD_DEBUG", raising=False)


class Sample(command.Command):
    """A command."""

    PROGNAME = "build.py sample"
    times = cli.SwitchAttr(["-t", "--times"], cli.Range(1, 3), default=1)
    seen: tuple[str, int] | None = None

    def main(self, word: str = "none") -> int:
        type(self).seen = (word, self.times)
        return 5


def build(*words: str) -> int:
    if listing.answer(words):
        return 0
    return main.Build.start(["build.py", *words])


def sample(*words: str) -> int:
    return Sample.start(["sample", *words])


@pytest.mark.parametrize("name", listing.COMMANDS)
def test_every_command_exists_describes_itself_and_has_no_conflicting_switch(name: str) -> None:
    registered = main.Build("build.py")._subcommands[name].get()  # noqa: SLF001 - plumbum has no other way
    application = command.strict(registered)(name)
    described = listing.describe(name)
    assert described
    assert (registered.__doc__ or "").startswith(described)
    assert application._switches_by_name["v"].names == ["v", "version"]  # noqa: SLF001


def test_the_help_lists_every_command_on_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    for name in listing.COMMANDS:
        assert any(line.startswith(f"  {name} ") for line in lines)
    assert max(map(len, lines)) <= 100


def test_the_help_imports_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in listing.COMMANDS:
        module = f"deploy.cli.{name.replace('-', '_')}"
        monkeypatch.setitem(sys.modules, module, None)  # importing it fails
    assert "Build" in listing.render_help()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["statsu"], "unknown command statsu — did you mean status?"),
        (["statsu", "--json"], "unknown command statsu — did you mean status?"),
        (["zzz"], "unknown command zzz — see: python3 build.py --help"),
        (["--verbos"], "unknown switch --verbos — did you mean --verbose?"),
    ],
)
def test_a_misspelt_command_line_is_one_line_with_the_nearest_name(
    words: list[str], line: str
) -> None:
    with pytest.raises(DeployError) as caught:
        build(*words)
    assert (str(caught.value), caught.value.code) == (line, ExitCode.USAGE)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--tims", "2"], "unknown switch --tims — did you mean --times?"),
        (["--times"], "switch --times requires an argument — see: python3 build.py sample --help"),
        (["a", "b"], "expected at most 1 positional argument — see"),
    ],
)
def test_wrong_usage_of_a_command_is_one_line(words: list[str], line: str) -> None:
    with pytest.raises(DeployError) as caught:
        sample(*words)
    assert str(caught.value).startswith(line)
    assert caught.value.code == ExitCode.USAGE


def test_a_value_that_is_not_a_number_is_named_by_its_switch() -> None:
    with pytest.raises(DeployError, match=r"^--times is not a whole number — see: "):
        sample("--times", "x")
    with pytest.raises(DeployError, match=r"^--times is not a whole number — see: "):
        sample("-t", "x")


def test_a_wrong_value_is_explained_without_python() -> None:
    with pytest.raises(DeployError) as caught:
        sample("--times", "9")
    assert "times" in caught.value.message
    assert "0x" not in caught.value.message
    assert "\n" not in caught.value.message


def test_switches_and_words_reach_the_command_and_its_code_comes_back() -> None:
    assert (sample("x", "--times=2"), Sample.seen) == (5, ("x", 2))


def test_subcommands_of_a_command_are_strict_as_well() -> None:
    class Inner(cli.Application):
        """Inside."""

        def main(self) -> int:
            return 3

    class Outer(command.Command):
        """Outside."""

        PROGNAME = "build.py outer"

    Outer.subcommand("inner", Inner)
    assert Outer.start(["outer", "inner"]) == 3
    assert Outer.start(["outer", "--help"]) == 0
    with pytest.raises(DeployError, match="unknown switch --x"):
        Outer.start(["outer", "inner", "--x"])
    with pytest.raises(DeployError, match="unknown subcommand iner — did you mean inner"):
        Outer.start(["outer", "iner"])
    with pytest.raises(DeployError, match="requires a subcommand: inner"):
        Outer.start(["outer"])


def test_an_error_inside_a_command_is_never_taken_for_a_closed_pipe() -> None:
    class Breaking(command.Command):
        """Break."""

        def main(self) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Breaking.start(["breaking"])


def test_verbose_shows_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("deploy")
    handlers, level = logger.handlers[:], logger.level
    logger.handlers.clear()
    try:
        sample("--verbose")
        logging.getLogger("deploy.tools").debug("run: true")
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    assert "run: true" in capsys.readouterr().err


class TestBoundary:
    def test_an_error_is_one_line_with_its_code(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fail() -> int:
            raise DeployError("no\nspace", hint="free some", code=ExitCode.NO_SPACE)

        assert entrypoint.guard(fail) == 74
        assert capsys.readouterr().err == "build.py: error: no space — free some\n"

    def test_ctrl_c_is_said_and_gives_130(self, capsys: pytest.CaptureFixture[str]) -> None:
        def press() -> int:
            os.kill(os.getpid(), signal.SIGINT)
            return 0

        assert entrypoint.guard(press) == 130
        assert capsys.readouterr().err == "build.py: interrupted\n"

    def test_in_a_lab_the_command_on_the_host_is_the_one_that_says_it(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def press_twice() -> int:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
            return 0

        monkeypatch.setenv(command_hints.LAB, "default")
        assert entrypoint.guard(press_twice) == 130
        assert not capsys.readouterr().err

    def test_an_impatient_second_ctrl_c_does_not_cut_the_clean_up_short(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cleaned = []

        def press_twice() -> int:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                cleaned.append(True)
            return 0

        assert entrypoint.guard(press_twice) == 130
        assert cleaned
        assert "cleaning up" in capsys.readouterr().err

    def test_sigterm_unwinds_like_ctrl_c(self, capsys: pytest.CaptureFixture[str]) -> None:
        def terminate() -> int:
            os.kill(os.getpid(), signal.SIGTERM)
            return 0

        assert entrypoint.guard(terminate) == 143
        assert capsys.readouterr().err == "build.py: terminated\n"

    @pytest.mark.parametrize(
        ("number", "code", "word"),
        [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    )
    def test_a_signal_that_meets_a_lock_is_still_one(
        self, number: signal.Signals, code: int, word: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def release_late() -> int:
            try:
                os.kill(os.getpid(), number)
            finally:
                threading.Lock().release()
            return 0

        assert entrypoint.guard(release_late) == code
        assert capsys.readouterr().err == f"build.py: {word}\n"

    def test_the_unforeseen_is_one_line_that_says_where_its_traceback_is(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        def stumble() -> int:
            raise KeyError("x")

        assert entrypoint.guard(stumble) == 70
        record = tmp_path / "todo-backend/traceback.log"
        expected = f"build.py: error: unexpected KeyError: 'x' — the traceback is in {record}\n"
        assert capsys.readouterr().err == expected
        assert "in stumble" in record.read_text()

    def test_whoever_debugs_gets_the_traceback_itself(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BUILD_DEBUG", "1")

        def stumble() -> int:
            raise KeyError("x")

        with pytest.raises(KeyError):
            entrypoint.guard(stumble)

    def test_a_disk_that_fills_up_under_this_program_has_the_same_code(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fill() -> int:
            raise OSError(28, "No space left on device", "/var/tmp/x")  # noqa: S108

        assert entrypoint.guard(fill) == 74
        assert "ran out of disk space" in capsys.readouterr().err

    def test_a_folder_that_may_not_be_used_is_named(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def write() -> int:
            raise PermissionError(13, "Permission denied", "/var/x")

        assert entrypoint.guard(write) == 78
        assert capsys.readouterr().err == "build.py: error: cannot use /var/x: Permission denied\n"

    def test_a_call_that_may_not_be_made_is_one_line(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def end() -> int:
            raise PermissionError(1, "Operation not permitted")

        assert entrypoint.guard(end) == 78
        assert capsys.readouterr().err == (
            "build.py: error: the operating system refused a call: Operation not permitted — "
            "BUILD_DEBUG=1 shows the traceback\n"
        )

    @pytest.mark.parametrize("size", [1, 1_000_000])
    @pytest.mark.parametrize(("target", "code"), [("/dev/full", 74), ("pipe", 141)])
    def test_output_that_cannot_be_written_is_one_line_unless_its_reader_left(
        self, size: int, target: str, code: int
    ) -> None:
        program = (
            "import sys; from deploy.bootstrap import entrypoint as boundary\n"
            f"def tell():\n    boundary.write_output('x' * {size})\n    return 0\n"
            "sys.exit(boundary.guard(tell))"
        )
        with contextlib.ExitStack() as opened:
            if target == "pipe":
                read, write = os.pipe()
                os.close(read)
                out = opened.enter_context(os.fdopen(write, "wb"))
            else:
                out = opened.enter_context(Path(target).open("wb"))
            done = subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONPATH": str(REPO / "src")},
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        line = "build.py: error: cannot write to standard output: No space left on device\n"
        assert (done.returncode, done.stderr) == (code, line if code == 74 else "")

    def test_an_error_that_cannot_be_written_leaves_the_exit_code(self) -> None:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, str(REPO / "build.py"), "unknown"], stderr=full, check=False
            )
        assert done.returncode == ExitCode.USAGE

    def test_a_reader_that_left_is_no_error(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, write = os.pipe()
        os.close(read)

        def tell() -> int:
            sys.stdout.write("x")
            return 0

        with os.fdopen(write, "w") as out:
            monkeypatch.setattr(sys, "stdout", out)
            assert entrypoint.guard(tell) == 141
        assert not capsys.readouterr().err
