"""When the start of an instance counts as failed, on a clock that does not wait."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.errors import DeployError
from deploy.stack import journal, startup, systemd
from deploy.stack.exits import ExitStatus
from deploy.stack.services import BACKEND, CANDIDATE
from deploy.stack.systemd import UnitState
from deploy.stack.update_state import Image
from deploy.update import images, migration, program, units
from deploy.update.faults import FaultError
from deploy.update.machine import StackMachine
from deploy.update.traffic import HANG_TIMEOUT_S, MIN_LIMIT_S, Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from deploy.update.traffic import Call

OLD = UnitState("active", "running", invocation="old")
STARTING = UnitState("activating", "start", invocation="new")
UP = UnitState("active", "running", invocation="new")
FAILED = UnitState("failed", "failed", "exit-code", status=9, invocation="new")
IMAGE = Image("localhost/todo-backend:2-new", "sha256:new")
FORMER = Image("localhost/todo-backend:1-old", "sha256:old")


class FakeStack:
    """An instance that starts.

    Attributes:
        states: What systemd shows, look by look; the last one stays.
        reasons: Why it does not accept yet, look by look; the last one stays.
        start_s: How long a container takes to load its program now.
        ran: The commands of systemctl.
        siblings_serve: Whether others are ready.
        candidate_serves: Whether the candidate is.
        end: How each invocation ended by itself.
    """

    def __init__(self) -> None:
        self.states: Iterable[UnitState] = ()
        self.reasons = [""]
        self.start_s = 2.0
        self.now = 0.0
        self.ran: list[str] = []
        self.siblings_serve = True
        self.candidate_serves = False
        self.end: ExitStatus | None = None

    def state(self, _unit: str) -> UnitState:
        return next(self._looks)

    def set_states(self, *states: UnitState) -> None:
        self._looks = itertools.chain(states, itertools.repeat(states[-1]))

    def systemctl(self, *words: str, check: bool = True) -> process.Completed:
        self.ran.append(" ".join(words))
        return process.Completed(words, int(not check), "", "")

    def run(self, argv: Sequence[str], *, check: bool) -> process.Completed:
        self.ran.append(" ".join(argv))
        return process.Completed(tuple(argv), int(not check), "", "")

    def find_reason(self, unit: str) -> str:
        if unit == CANDIDATE and self.candidate_serves:
            return ""
        return self.reasons.pop(0) if len(self.reasons) > 1 else self.reasons[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def measure(self, image: Image, running: Image) -> float:
        assert (image, running) == (IMAGE, FORMER)
        return self.start_s


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    stack = FakeStack()
    monkeypatch.setattr(systemd, "state", stack.state)
    monkeypatch.setattr(systemd, "systemctl", stack.systemctl)
    monkeypatch.setattr(StackMachine, "_find_reason", lambda _self, unit: stack.find_reason(unit))
    monkeypatch.setattr(StackMachine, "serves", lambda _self: stack.siblings_serve)
    monkeypatch.setattr(program, "measure_start", stack.measure)
    monkeypatch.setattr(startup, "explain", lambda _unit, now: f"exit code {now.status}")
    monkeypatch.setattr(journal, "last_lines", lambda _unit, _number, found: [f"of {found}"])
    monkeypatch.setattr(journal, "find_end", lambda _invocation: stack.end)
    monkeypatch.setattr("deploy.update.migration.process.run", stack.run)
    monkeypatch.setattr("deploy.update.machine.time.monotonic", lambda: stack.now)
    monkeypatch.setattr("deploy.update.machine.time.sleep", stack.sleep)
    return stack


def fail(stack: FakeStack, unit: str = BACKEND) -> FaultError:
    with pytest.raises(FaultError) as caught:
        StackMachine(IMAGE, FORMER, 2.0).replace(unit)
    assert f"restart --no-block {unit}" in stack.ran
    assert caught.value.unit == unit
    return caught.value


def test_an_instance_has_started_when_it_accepts(stack: FakeStack) -> None:
    stack.set_states(OLD, OLD, STARTING, UP)
    stack.reasons = ["/readyz answers 503", "it does not accept connections", ""]
    StackMachine(IMAGE, FORMER, 2.0).replace(BACKEND)
    assert stack.reasons == [""]


def test_the_first_end_is_a_fault(stack: FakeStack) -> None:
    stack.set_states(OLD, STARTING, FAILED)
    fault = fail(stack)
    assert fault.reason == "it ended: exit code 9"
    assert fault.log == ("of new",)


@pytest.mark.parametrize(
    "again",
    [dataclasses.replace(STARTING, restarts=1), dataclasses.replace(STARTING, sub="auto-restart")],
)
def test_systemd_does_not_get_to_try_again(stack: FakeStack, again: UnitState) -> None:
    stack.set_states(OLD, STARTING, again)
    assert "it ended" in fail(stack).reason


def test_a_start_that_another_unit_prevents_is_a_fault(stack: FakeStack) -> None:
    queued = dataclasses.replace(OLD, active="inactive", has_job=True)
    stack.set_states(OLD, queued, dataclasses.replace(queued, has_job=False))
    assert "it ended" in fail(stack).reason


def test_one_that_never_gets_ready_is_given_up_within_20_seconds(stack: FakeStack) -> None:
    stack.set_states(OLD, STARTING)
    assert fail(stack).reason == "not ready after 15 s: it does not report that it is ready"
    assert stack.now < 20


def test_without_a_database_the_image_is_not_to_blame(stack: FakeStack) -> None:
    stack.set_states(OLD, UP)
    stack.reasons = ["/readyz answers 503"]
    assert fail(stack).of_image
    stack.set_states(OLD, UP)
    stack.siblings_serve = False
    assert not fail(stack).of_image


def test_a_single_instance_that_fails_beside_a_ready_candidate_is_the_images_fault(
    stack: FakeStack,
) -> None:
    stack.set_states(OLD, UP)
    stack.reasons = ["/readyz answers 503"]
    stack.siblings_serve = False
    stack.candidate_serves = True
    assert fail(stack).of_image


@pytest.mark.parametrize("serves", [True, False])
def test_a_migration_that_fails_without_a_database_is_not_the_images_fault(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, *, serves: bool
) -> None:
    def end(*_: object) -> None:
        message = "it ended"
        raise DeployError(message)

    monkeypatch.setattr(startup, "run_job", end)
    monkeypatch.setattr(migration, "end_sessions", lambda: None)
    stack.siblings_serve = serves
    stack.reasons = ["/readyz answers 503"]
    stack.set_states(FAILED)
    with pytest.raises(FaultError) as caught:
        StackMachine(IMAGE, FORMER, 2.0).migrate()
    assert caught.value.of_image is serves


def test_a_migration_that_is_given_up_ends_in_the_server_too(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(_verb: str, _unit: str, _step: object, look: Callable[[], str]) -> None:
        look()

    def give_up(_watch: migration.Watch) -> str:
        raise FaultError("it let requests wait")

    monkeypatch.setattr(startup, "run_job", wait)
    monkeypatch.setattr(migration.Watch, "look", give_up)
    monkeypatch.setattr(migration, "end_sessions", lambda: stack.ran.append("end sessions"))
    with pytest.raises(FaultError, match="it let requests wait"):
        StackMachine(IMAGE, FORMER, 2.0).migrate()
    unit = units.MIGRATION
    assert stack.ran == [
        *("podman kill --signal=KILL todo-update-migrate", f"stop {unit}", f"reset-failed {unit}"),
        "end sessions",
    ]


def test_a_slow_machine_has_more_time(stack: FakeStack) -> None:
    stack.start_s = 20.0
    stack.set_states(OLD, *[STARTING] * 400, UP)
    StackMachine(IMAGE, FORMER, 2.0).replace(BACKEND)
    assert stack.now > 15
    stack.set_states(OLD, STARTING)
    assert "not ready after 100 s" in fail(stack).reason


def test_the_former_instance_may_take_its_time_to_end(stack: FakeStack) -> None:
    ending = UnitState("deactivating", "stop-sigterm", has_job=True, invocation="old")
    stack.set_states(OLD, *[ending] * 400, STARTING, UP)
    StackMachine(IMAGE, FORMER, 2.0).replace(BACKEND)


def test_a_candidate_that_does_not_get_ready_is_killed(stack: FakeStack) -> None:
    stack.set_states(OLD, STARTING)
    fail(stack, CANDIDATE)
    assert f"kill --signal=SIGKILL {CANDIDATE}" in stack.ran


def test_a_candidate_that_does_not_end_is_killed(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    monkeypatch.setattr(images, "remove_container", removed.append)
    monkeypatch.setattr("deploy.update.candidate.find_instances", lambda: (BACKEND, "second"))
    kill = f"kill --signal=SIGKILL {CANDIDATE}"
    stack.set_states(*[UP] * 10, UnitState())
    StackMachine(IMAGE, FORMER, 2.0).stop_candidate()
    assert kill not in stack.ran
    stack.set_states(UP)
    StackMachine(IMAGE, FORMER, 2.0).stop_candidate()
    assert kill in stack.ran
    assert removed == [CANDIDATE, CANDIDATE]


def test_a_candidate_with_a_fault_ends_before_its_log_is_read(stack: FakeStack) -> None:
    stack.set_states(OLD, STARTING, FAILED)
    fail(stack, CANDIDATE)
    assert stack.ran[1] == f"stop --no-block {CANDIDATE}"


def test_a_candidate_that_ends_at_its_start_says_why_in_its_own_words(stack: FakeStack) -> None:
    stack.set_states(OLD, STARTING, FAILED)
    # What systemd records has less: only the exit code of Podman.
    stack.end = ExitStatus("exit-code", status=1)
    assert fail(stack, CANDIDATE).reason == "it ended: exit code 9"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (ExitStatus("exit-code", status=9), "it ended: exit code 9"),
        (None, "closed without an answer"),
        # That is how a stop ends one that does not listen to it.
        (ExitStatus("exit-code", status=137), "closed without an answer"),
        (ExitStatus("signal", signaled=True, status=9), "closed without an answer"),
    ],
)
def test_a_request_that_meets_the_end_of_the_candidate_tells_that_end(
    stack: FakeStack, end: ExitStatus | None, reason: str
) -> None:
    tried = StackMachine(IMAGE, FORMER, 2.0)
    stack.set_states(OLD, UP)
    tried.replace(CANDIDATE)
    stack.set_states(UP, FAILED)
    stack.end = end
    with pytest.raises(FaultError) as caught:
        tried._require(CANDIDATE, "closed without an answer")  # noqa: SLF001
    assert caught.value.reason == reason
    assert caught.value.log == ("of new",)


def test_an_instance_that_was_started_again_has_ended(stack: FakeStack) -> None:
    tried = StackMachine(IMAGE, FORMER, 2.0)
    stack.set_states(OLD, UP)
    tried.replace(BACKEND)
    tried._require_alive(BACKEND)  # noqa: SLF001
    # A connection to its socket starts it.
    stack.set_states(dataclasses.replace(UP, invocation="third"))
    stack.end = ExitStatus("exit-code", status=9)
    with pytest.raises(FaultError, match="it ended: exit code 9"):
        tried._require_alive(BACKEND)  # noqa: SLF001


@pytest.mark.usefixtures("stack")
def test_a_request_that_a_candidate_may_get_is_limited_by_those_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[float] = []

    def send(address: str, _call: Call, _token: str, limit_s: float) -> Answer:
        if address == "public":
            limits.append(limit_s)
        return Answer(200, 0.004)

    fakes: dict[str, object] = {
        "_find_token": lambda: "token",
        "addresses.parse": lambda _text: "private",
        "ports.loaded": lambda: ["public"],
        "send": send,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(f"deploy.update.machine.{name}", fake)
    tried = StackMachine(IMAGE, FORMER, 2.0)
    for _ in range(2):
        assert tried._compare().step() == ""  # noqa: SLF001
    assert limits == [HANG_TIMEOUT_S, MIN_LIMIT_S]
