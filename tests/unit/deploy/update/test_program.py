"""Output of the program inside an image, and detection of a hang."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.stack.update_state import Image
from deploy.update import program
from deploy.update.faults import FaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNNING = Image("localhost/todo-backend:1-old", "sha256:old")
IMAGE = Image("localhost/todo-backend:2-new", "sha256:new")
SAID = json.dumps(["0013", ["0012", "0013"], "0012", "0013"])
WAIT_S = 60.0


class FakePodman:
    """Containers that print something at once, or hang until they are removed.

    Attributes:
        printed: Image -> what its program prints; None for one that hangs.
        asked: The images, in the order in which they were asked.
        containers: The containers that are there: name -> set when it is removed.
        is_late: Whether the new image prints only when the one that runs is asked.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.printed: dict[str, str | None] = {RUNNING.reference: SAID, IMAGE.reference: SAID}
        self.asked: list[str] = []
        self.containers: dict[str, threading.Event] = {}
        self.is_late = False
        self._beside = threading.Event()
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(process, "run", self.run)
        monkeypatch.setattr(program, "_POLL_S", 0.01)
        monkeypatch.setattr(program, "_FIRST_S", WAIT_S)

    def wait_shortly(self) -> None:
        """Let an image hang that does not answer at once."""
        self._monkeypatch.setattr(program, "_FIRST_S", 0.05)

    def run(self, argv: Sequence[str], **_: object) -> process.Completed:
        if argv[1] == "rm":
            if argv[-1] in self.containers:
                self.containers.pop(argv[-1]).set()
            return process.Completed(tuple(argv), 0, "", "")
        (name,) = (word.partition("=")[2] for word in argv if word.startswith("--name="))
        image = argv[argv.index("-c") - 1]
        removed = self.containers[name] = threading.Event()
        self.asked.append(image)
        if image == RUNNING.reference:
            self._beside.set()
        elif self.is_late:
            assert self._beside.wait(WAIT_S)
        said = self.printed[image]
        if said is None:
            assert removed.wait(WAIT_S)
            return process.Completed(tuple(argv), 137, "", "")
        self.containers.pop(name, None)
        return process.Completed(tuple(argv), int(not said), said, "" if said else "a\nboom\n")


@pytest.fixture
def podman(monkeypatch: pytest.MonkeyPatch) -> FakePodman:
    return FakePodman(monkeypatch)


def fail(podman: FakePodman) -> FaultError:
    with pytest.raises(FaultError) as caught:
        program.read_schemas(IMAGE, RUNNING)
    assert podman.containers == {}
    return caught.value


def test_an_image_says_which_schemas_it_works_with(podman: FakePodman) -> None:
    found = program.read_schemas(IMAGE, RUNNING)
    assert (found.expected, found.known, found.oldest_program) == ("0013", ("0012", "0013"), "0012")
    assert found.oldest_contracted == "0013"
    # Another one is asked only where something seems to be wrong.
    assert podman.asked == [IMAGE.reference]


def test_one_that_hangs_is_removed_and_to_blame(podman: FakePodman) -> None:
    podman.wait_shortly()
    podman.printed[IMAGE.reference] = None
    fault = fail(podman)
    assert fault.of_image
    assert "did not load within" in fault.reason


def test_one_that_hangs_while_the_other_says_nothing_is_not_to_blame(podman: FakePodman) -> None:
    podman.wait_shortly()
    podman.printed = {IMAGE.reference: None, RUNNING.reference: ""}
    assert not fail(podman).of_image


def test_a_slow_machine_has_more_time(podman: FakePodman, monkeypatch: pytest.MonkeyPatch) -> None:
    podman.wait_shortly()
    monkeypatch.setattr(program, "_FACTOR", 1e6)
    podman.is_late = True
    assert program.read_schemas(IMAGE, RUNNING).seconds > 0
    assert podman.asked == [IMAGE.reference, RUNNING.reference]


def test_one_that_answers_does_not_wait_for_the_other(podman: FakePodman) -> None:
    podman.wait_shortly()
    podman.is_late = True
    podman.printed[RUNNING.reference] = None
    assert program.read_schemas(IMAGE, RUNNING).expected == "0013"
    assert podman.containers == {}


@pytest.mark.parametrize("said", ["", "{", "[1, 2]", "[1, 2, 3]", "7"])
def test_one_that_says_something_else_is_to_blame_if_the_other_does_not(
    podman: FakePodman, said: str
) -> None:
    podman.printed[IMAGE.reference] = said
    fault = fail(podman)
    assert fault.of_image
    assert "does not report the schemas that it supports" in fault.reason
    # As where Podman cannot start any.
    podman.printed[RUNNING.reference] = ""
    assert not fail(podman).of_image
    podman.wait_shortly()
    podman.printed[RUNNING.reference] = None
    assert not fail(podman).of_image


def test_what_went_wrong_is_the_last_line_that_it_printed(podman: FakePodman) -> None:
    podman.printed[IMAGE.reference] = ""
    assert fail(podman).reason.endswith(": boom")


def test_a_start_that_does_not_end_gives_no_measure(podman: FakePodman) -> None:
    assert program.measure_start(IMAGE, RUNNING) > 0
    podman.wait_shortly()
    podman.printed[IMAGE.reference] = None
    assert program.measure_start(IMAGE, RUNNING) == 0.0
