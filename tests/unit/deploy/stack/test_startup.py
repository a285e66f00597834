"""Waiting for a unit: as long as systemd tries, with the cause when it gives up."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.progress import Step
from deploy.stack import readiness, startup
from deploy.stack.exits import ExitStatus
from deploy.stack.services import BACKEND, DB, MIGRATE
from deploy.stack.status import Readiness
from deploy.stack.systemd import UnitState
from deploy.units.loader import load_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STARTING = UnitState("activating", "start", has_job=True, invocation="a")
UP = UnitState("active", "running", invocation="a")
STOPPING = UnitState("deactivating", "stop", has_job=True, invocation="old")
HOUR_S = 3600.0


class FakeClock(startup.Clock):
    """A clock that only sleeping moves, a thousand times faster than asked."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds * 1000


@dataclasses.dataclass
class FakeSystemd:
    """Shows one state of the backend after the other, the last one for ever."""

    states: Iterator[UnitState]
    ends: dict[str, ExitStatus] = dataclasses.field(default_factory=dict)
    lines: dict[str, str] = dataclasses.field(default_factory=dict)
    shown: UnitState = UP
    others: Callable[[str], UnitState] = lambda _: UnitState()

    def state(self, unit: str) -> UnitState:
        if unit != BACKEND:
            return self.others(unit)
        self.shown = next(self.states, self.shown)
        return self.shown

    def find_end(self, invocation: str) -> ExitStatus | None:
        return self.ends.get(invocation)

    def last_line(self, unit: str, invocation: str) -> str:
        assert unit in {BACKEND, MIGRATE}
        return self.lines.get(invocation, "")


def wait(systemd: FakeSystemd, *, before: str = "") -> tuple[Step, FakeClock]:
    step, clock = Step("Starting"), FakeClock()
    startup.wait_started(BACKEND, step, systemd, before=before, clock=clock)
    return step, clock


def error_of(systemd: FakeSystemd, *, before: str = "") -> str:
    with pytest.raises(DeployError) as caught:
        wait(systemd, before=before)
    return caught.value.message


def crash_loop(attempts: int, sub: str = "auto-restart") -> Iterator[UnitState]:
    for number in range(attempts):
        yield dataclasses.replace(STARTING, restarts=number, invocation=str(number))
        yield UnitState("activating", sub, "exit-code", number, status=1, invocation=str(number))


def test_a_start_that_takes_hours_is_waited_for_while_systemd_tries() -> None:
    def states() -> Iterator[UnitState]:
        yield STOPPING
        for _ in range(100):
            yield STARTING
        yield UP

    _, clock = wait(FakeSystemd(states()), before="old")
    assert clock.at > 5 * HOUR_S


def test_a_start_that_restarts_and_comes_up_later_is_a_start() -> None:
    def states() -> Iterator[UnitState]:
        yield from crash_loop(22)
        yield dataclasses.replace(UP, restarts=22, invocation="22")

    class QuickClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            self.at += seconds

    step = Step("Starting")
    systemd = FakeSystemd(states(), lines={str(n): f"killed {n}" for n in range(23)})
    startup.wait_started(BACKEND, step, systemd, clock=QuickClock())
    assert "20 restarts" in step.detail
    assert "killed 19" in step.detail


def test_who_waits_can_look_at_more_and_end_the_wait() -> None:
    looks = iter(["waits for PID 7", ""])

    def look() -> str:
        for said in looks:
            return said
        raise KeyboardInterrupt

    step = Step("Migrating")
    systemd = FakeSystemd(iter([STARTING]), shown=STARTING, lines={"a": "waiting"})
    with pytest.raises(KeyboardInterrupt):
        startup.wait_started(BACKEND, step, systemd, look=look, clock=FakeClock())
    assert step.detail == f"{BACKEND} activating (start), waiting"


def test_what_is_looked_at_besides_is_noted() -> None:
    step = Step("Migrating")
    systemd = FakeSystemd(iter([STARTING, UP]), lines={"a": "waiting"})
    look = iter(["waits for PID 7"]).__next__
    startup.wait_started(BACKEND, step, systemd, look=look, clock=FakeClock())
    assert step.detail == f"{BACKEND} activating (start), waiting, waits for PID 7"


def test_the_failure_names_the_last_error_and_what_the_exit_code_means() -> None:
    failed = UnitState("failed", "failed", "exit-code", status=78, invocation="a")
    systemd = FakeSystemd(iter([STARTING, failed]), lines={"a": "TODO_BIND: not an address"})
    assert error_of(systemd) == (
        "todo-backend.service did not start: TODO_BIND: not an address "
        "(exit code 78: an option is missing, unknown or invalid)"
    )


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (ExitStatus("exit-code", status=78), ExitCode.CONFIG),
        (ExitStatus("exit-code", status=77), ExitCode.CONFIG),
        (ExitStatus("exit-code", status=1), ExitCode.FAILED),
        (ExitStatus("signal", signaled=True, status=9), ExitCode.FAILED),
    ],
)
def test_a_wrong_setting_gives_its_own_exit_code(end: ExitStatus, code: ExitCode) -> None:
    failed = UnitState(
        "failed", "failed", end.result, signaled=end.signaled, status=end.status, invocation="a"
    )
    with pytest.raises(DeployError) as caught:
        wait(FakeSystemd(iter([STARTING, failed])))
    assert caught.value.code == code


def test_at_the_start_limit_the_failure_says_how_often_systemd_tried() -> None:
    def states() -> Iterator[UnitState]:
        yield from crash_loop(3)
        yield UnitState("failed", "failed", "exit-code", 2, status=1, invocation="2")

    message = error_of(FakeSystemd(states(), lines={"2": "out of luck"}))
    assert message.endswith("out of luck (exit code 1); systemd gave up after 2 restarts")


def test_a_service_that_a_waiting_client_starts_again_has_failed_nevertheless() -> None:
    again = dataclasses.replace(STARTING, invocation="b")
    systemd = FakeSystemd(
        iter([STOPPING, STARTING, again]),
        ends={"a": ExitStatus("exit-code", status=78), "old": ExitStatus("exit-code", status=1)},
        lines={"a": "TODO_BIND: not an address", "old": "long ago"},
    )
    assert "TODO_BIND" in error_of(systemd, before="old")


def test_a_client_that_shortens_the_wait_for_a_restart_does_not_make_it_a_failure() -> None:
    again = dataclasses.replace(STARTING, invocation="b")
    systemd = FakeSystemd(
        iter([STARTING, again, dataclasses.replace(UP, invocation="b")]),
        ends={"a": ExitStatus("exit-code", status=1)},
    )
    wait(systemd)


def test_the_exit_codes_that_are_final_are_those_of_the_unit() -> None:
    unit = next(each for each in load_units() if each.name == "todo-backend.container")
    final = unit.get("Service", "RestartPreventExitStatus").value.split()
    assert {int(code) for code in final} == startup.FINAL


def test_the_end_of_another_program_of_the_unit_comes_from_the_journal() -> None:
    failed = UnitState("failed", "failed", "exit-code", invocation="a")
    systemd = FakeSystemd(iter([STARTING, failed]), ends={"a": ExitStatus("exit-code", status=9)})
    assert error_of(systemd).endswith("did not start: exit code 9")


def test_a_failure_before_this_start_does_not_count() -> None:
    old = UnitState("failed", "failed", "exit-code", has_job=True, status=1, invocation="old")
    systemd = FakeSystemd(
        iter([old, STARTING, UP]), ends={"old": ExitStatus("exit-code", status=1)}
    )
    wait(systemd, before="old")


def test_a_loop_of_slow_attempts_ends_after_a_quarter_of_an_hour_and_between_two_of_them() -> None:
    message = error_of(FakeSystemd(crash_loop(1000), lines={str(n): "no" for n in range(1000)}))
    assert "restarts in 15 minutes" in message
    assert "python3 build.py down stops it" in message


def test_a_job_that_waits_for_another_unit_is_given_up_with_the_command_that_names_it() -> None:
    queued = UnitState("inactive", "dead", has_job=True)
    with pytest.raises(DeployError, match="waited for another unit") as caught:
        wait(FakeSystemd(iter([queued])))
    assert "list-jobs" in caught.value.hint


@pytest.mark.parametrize("sub", ["start", "start-pre", "start-post"])
def test_a_job_behind_a_start_that_takes_long_is_waited_for(sub: str) -> None:
    queued = UnitState("inactive", "dead", has_job=True)

    def states() -> Iterator[UnitState]:
        yield from [queued] * 50
        yield STARTING
        yield UP

    systemd = FakeSystemd(states())
    migrating = UnitState("activating", sub, has_job=True, invocation="m")
    systemd.others = lambda unit: migrating if unit == MIGRATE else UP
    _, clock = wait(systemd)
    assert clock.at > 2 * HOUR_S


def test_a_job_behind_a_start_gets_its_time_when_that_start_has_ended() -> None:
    queued = UnitState("inactive", "dead", has_job=True)
    migration = {"state": UnitState("activating", "start", has_job=True, invocation="m")}

    def states() -> Iterator[UnitState]:
        yield from [queued] * 50
        migration["state"] = UP
        yield from [queued] * 3
        yield UP

    systemd = FakeSystemd(states())
    systemd.others = lambda unit: migration["state"] if unit == MIGRATE else UP
    wait(systemd)


def test_a_job_behind_a_unit_that_waits_for_its_restart_is_given_up() -> None:
    systemd = FakeSystemd(iter([UnitState("inactive", "dead", has_job=True)]))
    systemd.others = lambda _: UnitState("activating", "auto-restart", "exit-code", status=1)
    assert "waited for another unit" in error_of(systemd)


def test_a_database_of_a_newer_version_is_reported_while_the_backend_waits_for_its_schema() -> None:
    systemd = FakeSystemd(iter([STARTING]), lines={"m": "the schema is revision 99"})
    failed = UnitState("failed", "failed", "exit-code", status=65, invocation="m")
    systemd.others = lambda unit: failed if unit == MIGRATE else UP
    assert error_of(systemd) == (
        "todo-migrate.service did not start: the schema is revision 99 "
        "(exit code 65: this version does not support the schema of the database)"
    )


def test_a_migration_that_runs_again_or_missed_the_database_does_not_end_the_wait() -> None:
    again = UnitState("failed", "failed", "exit-code", has_job=True, status=65, invocation="m")
    missed = dataclasses.replace(again, has_job=False, status=69)
    for migration in (again, missed):
        systemd = FakeSystemd(iter([STARTING, STARTING, UP]))
        systemd.others = lambda _, shown=migration: shown  # type: ignore[misc]
        wait(systemd)


def test_a_socket_that_could_not_be_set_up_has_no_program() -> None:
    assert ExitStatus("resources").render("todo-backend.socket") == "it cannot listen"
    assert "program" in ExitStatus("resources").render("todo-backend.service")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (ExitStatus("exit-code", status=77), "exit code 77: a secret is missing"),
        (ExitStatus("exit-code", status=3), "exit code 3"),
        (ExitStatus("timeout"), "not ready within TimeoutStartSec"),
        (ExitStatus("oom-kill"), "more memory than MemoryMax"),
        (ExitStatus("service-start-limit-hit"), "its service failed too many times"),
        (ExitStatus("signal", signaled=True, status=11), "killed by SIGSEGV"),
        (ExitStatus("signal", signaled=True, status=99), "killed by signal 99"),
    ],
)
def test_each_kind_of_end_has_words(end: ExitStatus, words: str) -> None:
    assert words in end.render()


@dataclasses.dataclass
class FakeStack:
    """A stack whose readiness and units change with the time."""

    clock: FakeClock
    at: Callable[[float], tuple[Readiness, UnitState, UnitState]]

    def readiness(self) -> Readiness:
        return self.at(self.clock.at)[0]

    def state(self, unit: str) -> UnitState:
        _, backend, database = self.at(self.clock.at)
        return backend if unit == BACKEND else database

    def describe(self, unit: str, state: UnitState) -> str:
        return f"{unit} is {state.active}"


READY = Readiness("http://127.0.0.1:8000", ready=True, reason="")
NOT_READY = Readiness("http://127.0.0.1:8000", ready=False, reason="the database is down")


def wait_ready(at: Callable[[float], tuple[Readiness, UnitState, UnitState]]) -> str:
    clock = FakeClock()
    return readiness.wait(FakeStack(clock, at), clock)


def test_one_of_several_instances_that_fails_for_ever_is_given_up_after_ten_restarts() -> None:
    systemd = FakeSystemd(crash_loop(1000), lines={str(n): "no" for n in range(1000)})

    class QuickClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            self.at += seconds

    with pytest.raises(DeployError, match=r"no .*, 10 restarts; systemd still tries"):
        startup.wait_started(BACKEND, Step("Starting"), systemd, most=10, clock=QuickClock())


def test_readiness_is_waited_for_while_its_reason_may_heal() -> None:
    assert wait_ready(lambda at: (READY if at > 800 else NOT_READY, UP, UP)) == READY.url


def test_a_failed_backend_is_not_waited_for() -> None:
    failed = UnitState("failed", "failed", "exit-code", status=78, invocation="a")
    with pytest.raises(DeployError, match=r"todo-backend\.service is failed") as caught:
        wait_ready(lambda _: (NOT_READY, failed, UP))
    assert caught.value.code == ExitCode.CONFIG


def test_a_failed_database_is_named_as_the_cause() -> None:
    failed = UnitState("failed", "failed", "exit-code", status=1, invocation="a")
    with pytest.raises(DeployError, match=DB.replace(".", r"\.")):
        wait_ready(lambda _: (NOT_READY, UP, failed))


def test_a_stopped_database_is_waited_for_as_the_backend_may_use_another_one() -> None:
    assert wait_ready(lambda at: (READY if at > 800 else NOT_READY, UP, UnitState())) == READY.url


def test_one_attempt_of_the_backend_may_take_as_long_as_systemd_lets_it() -> None:
    def at(seconds: float) -> tuple[Readiness, UnitState, UnitState]:
        return (READY if seconds > HOUR_S else NOT_READY), STARTING, UP

    assert wait_ready(at) == READY.url


def test_a_crash_loop_is_given_up_after_a_quarter_of_an_hour() -> None:
    def at(seconds: float) -> tuple[Readiness, UnitState, UnitState]:
        restarts = int(seconds // 200)
        reason = f"todo-backend.service is activating, {restarts} restarts"
        state = UnitState("activating", "start", restarts=restarts, has_job=True, invocation="a")
        return Readiness(None, ready=False, reason=reason), state, UP

    with pytest.raises(DeployError, match="not ready after 15 minutes"):
        wait_ready(at)
