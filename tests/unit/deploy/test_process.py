"""The one place that starts programs; these tests start real ones, small and short."""

import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.progress import Step
from tests.machine_clock import CLOCK, wait_until

# A background job of a shell does not hear Ctrl-C.
FAMILY = ["sh", "-c", 'sleep 60 & echo $! >"$1.new"; mv "$1.new" "$1"; wait', "sh"]

Way = Callable[[list[str], float], object]
WAYS: dict[str, Way] = {
    "run": lambda argv, timeout_s: process.run(argv, timeout_s=timeout_s),
    "stream": lambda argv, timeout_s: process.stream(argv, Step("Waiting"), timeout_s=timeout_s),
}


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GROUP_GRACE_S", 0.05)


@pytest.fixture(autouse=True)
def _plain_ctrl_c() -> Iterator[None]:
    # Not that of `build.py test`, which takes the second one for impatience.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def gone(pid: int) -> bool:
    """Return whether a process has ended; one that nobody has reaped yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def eventually(condition: Callable[[], bool]) -> bool:
    return wait_until(condition, "true", within_s=60, poll_s=0.01)


def interrupt_once(path: Path) -> threading.Thread:
    """Press Ctrl-C, as it were, as soon as a file exists."""

    def press() -> None:
        if eventually(path.exists):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def test_a_program_starts_although_its_user_cannot_enter_the_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != "." and real(path, mode))
    assert process.run(["pwd"]).stdout == "/\n"
    monkeypatch.undo()
    assert process.run(["pwd"]).stdout == f"{Path.cwd()}\n"


def test_output_and_exit_code_come_back() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = process.run(python(code), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_a_failure_names_the_cause_and_the_command_to_replay() -> None:
    argv = python("import sys; sys.exit('the disk is on fire')", "two words")
    with pytest.raises(process.ToolError, match="exit code 1: the disk is on fire") as caught:
        process.run(argv)
    assert caught.value.code == ExitCode.FAILED
    assert caught.value.hint.startswith(f"to replay: {sys.executable} -c ")
    assert caught.value.hint.endswith("'two words'")
    assert caught.value.completed is not None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -KILL $$", "sh was ended by signal 9 (Killed), without any output"),
        ("echo half; kill -TERM $$", "sh was ended by signal 15 (Terminated): half"),
        ("exit 3", "sh failed with exit code 3, without any output"),
    ],
)
def test_a_failure_says_how_the_program_ended(script: str, message: str) -> None:
    with pytest.raises(process.ToolError) as caught:
        process.run(["sh", "-c", script])

    assert caught.value.message == message


def test_a_missing_program_is_named() -> None:
    with pytest.raises(process.ToolError, match="frobnicate is not installed") as caught:
        process.run(["frobnicate", "--now"])
    assert caught.value.code == ExitCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("write /var/tmp/x: No space left on device", ExitCode.NO_SPACE),
        ("Disk quota exceeded", ExitCode.NO_SPACE),
        ("Temporary failure resolving 'mirror.example'", ExitCode.UNAVAILABLE),
        ("connect: Network is unreachable", ExitCode.UNAVAILABLE),
    ],
)
def test_a_full_disk_and_a_missing_network_have_codes_of_their_own(
    words: str, code: ExitCode
) -> None:
    argv = python("import sys; print(sys.argv[1], file=sys.stderr); sys.exit(100)", words)
    with pytest.raises(DeployError) as run_error:
        process.run(argv)
    with pytest.raises(DeployError) as stream_error:
        process.stream(argv, Step("Trying"), timeout_s=10)
    assert [run_error.value.code, stream_error.value.code] == [code, code]


def test_a_child_gets_text_or_nothing_on_its_standard_input() -> None:
    echo = python("import sys; print(sys.stdin.read(), end='')")
    assert process.run(echo, stdin="mine").stdout == "mine"
    assert not process.run(echo).stdout


def test_variables_are_added_to_the_environment() -> None:
    done = process.run(
        python("import os; print(os.environ['A'], 'PATH' in os.environ)"), env={"A": "1"}
    )
    assert done.stdout == "1 True\n"


def test_streaming_shows_the_newest_line_and_keeps_all() -> None:
    step = Step("Counting")
    done = process.stream(python("print(1); print(2)"), step, timeout_s=10)
    assert (step.detail, done.stdout) == ("2", "1\n2")


def test_a_timeout_ends_the_whole_family(tmp_path: Path) -> None:
    # Both at once: each waits.
    with ThreadPoolExecutor() as threads:
        ways = {
            name: threads.submit(way, [*FAMILY, str(tmp_path / name)], 0.5)
            for name, way in WAYS.items()
        }
    for name, way in ways.items():
        with pytest.raises(process.ToolError, match=r"sh did not end within 0\.5 s") as caught:
            way.result()
        assert caught.value.code == ExitCode.UNAVAILABLE
        grandchild = int((tmp_path / name).read_text())
        assert eventually(functools.partial(gone, grandchild))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ctrl_c_ends_the_whole_family(way: Way, tmp_path: Path) -> None:
    thread = interrupt_once(tmp_path / "pid")
    with pytest.raises(KeyboardInterrupt):
        way([*FAMILY, str(tmp_path / "pid")], 30)
    thread.join()
    grandchild = int((tmp_path / "pid").read_text())
    assert eventually(lambda: gone(grandchild))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ctrl_c_while_a_program_is_started_ends_it_as_well(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen.__init__

    def start_and_press(self: subprocess.Popen[str], *args: Any, **options: Any) -> None:  # noqa: ANN401 - as Popen
        start(self, *args, **options)
        assert eventually((tmp_path / "pid").exists)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess.Popen, "__init__", start_and_press)
    with pytest.raises(KeyboardInterrupt):
        way([*FAMILY, str(tmp_path / "pid")], 30)
    grandchild = int((tmp_path / "pid").read_text())
    assert eventually(lambda: gone(grandchild))


def test_a_stream_whose_grandchild_keeps_the_pipe_open_still_ends() -> None:
    began = CLOCK.now()
    with pytest.raises(process.ToolError, match="did not end"):
        process.stream(["sh", "-c", "sleep 60 &"], Step("Waiting"), timeout_s=0.1)
    assert CLOCK.now() - began < 5


def test_an_interactive_program_hears_ctrl_c_once_and_is_waited_for(tmp_path: Path) -> None:
    code = """
import pathlib, sys, time
me = pathlib.Path(sys.argv[1])
try:
    me.touch(); time.sleep(60)
except KeyboardInterrupt:
    try:
        time.sleep(0.1); me.write_text("cleaned up")
    except KeyboardInterrupt:
        me.write_text("cut short")
"""
    thread = interrupt_once(tmp_path / "me")
    with pytest.raises(KeyboardInterrupt):
        process.interact(python(code, str(tmp_path / "me")))
    thread.join()
    assert (tmp_path / "me").read_text() == "cleaned up"


def test_an_interactive_program_gives_its_code() -> None:
    assert process.interact(python("import sys; sys.exit(7)")) == 7


def test_a_server_beside_ends_with_the_block() -> None:
    with process.beside(["sleep", "60"]) as server:
        assert server.poll() is None
    assert server.returncode == -signal.SIGTERM
