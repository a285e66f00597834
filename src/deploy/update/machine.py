"""Operations of an update on this user's stack, with systemd and Podman."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING

from deploy import command_hints, progress
from deploy.errors import DeployError, ExitCode
from deploy.image import build as image_build
from deploy.stack import (
    addresses,
    admin,
    backups,
    database,
    definition,
    install,
    journal,
    management,
    ports,
    startup,
    status,
    systemd,
)
from deploy.stack.services import (
    CANDIDATE,
    CANDIDATE_SOCKETS,
    container_of,
    find_instances,
    find_sockets,
    has_backups,
    number_of,
)
from deploy.update import candidate, images, migration, program, units
from deploy.update.faults import FaultError
from deploy.update.traffic import MIN_LIMIT_S, Comparison, send
from deploy.update.watch import Look, find_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.progress import Step
    from deploy.stack.addresses import Address
    from deploy.stack.install import Link
    from deploy.stack.update_state import Image

_POLL_S = 0.2
_REQUESTS_PER_LOOK = 5
_PAUSE_S = 0.1
_TRIAL_S = 3.0
_TRIAL_REQUESTS = 24
_SETTLE_S = 2.0
_START_FACTOR = 5.0
_MIN_START_S = 15.0
"""Minimum timeout of a start, which takes 2 s; systemd's timeout is 15 minutes."""
_LOG_LINES = 10
_WAL_TIMEOUT_S = 60.0
_FLUSHED = (
    "SELECT coalesce(bool_or(flush_lsn >= '{}'), false) FROM pg_stat_replication"
    " WHERE application_name = 'todo_wal'"
)
_USER = "update-check"
"""User without data, whose token authenticates the requests."""
_ACCEPTING = b"\ntodo_accepting 1.0\n"


class StackMachine:
    """Stack of this user; implements `run.Machine`.

    Args:
        image: Image to update to.
        former: Image that the stack ran before.
        start_s: Seconds that a container of the candidate took to start and load its program.
    """

    def __init__(self, image: Image, former: Image, start_s: float) -> None:
        self._image = image
        self._former = former
        self._start_s = start_s
        self._invocations: dict[str, str] = {}
        self._sibling = candidate.Sibling()
        self._known: list[float] = []

    # Units and images

    def install(self, wanted: Mapping[str, str | Link]) -> None:
        """Install unit files and reload systemd."""
        install.install(wanted)
        systemd.systemctl("daemon-reload")

    def point_latest(self, image: Image) -> None:
        """Tag an image as `latest`, which the units use."""
        images.point_latest(image)

    def find_instances(self) -> tuple[str, ...]:
        """Return the instances of the backend."""
        return find_instances()

    def runs(self, unit: str, image: Image) -> bool:
        """Return whether an instance is active and runs the given image."""
        return systemd.is_active(unit) and images.find_running(unit) == image.digest

    def serves(self) -> bool:
        """Return whether any instance is ready."""
        return any(status.check(unit).ready for unit in find_instances())

    def open_sockets(self) -> None:
        """Start the sockets of the stack; a service that hits its start limit closes them."""
        systemd.systemctl("reset-failed", *find_sockets(), *find_instances(), check=False)
        systemd.systemctl("start", *find_sockets())

    # Steps of an update

    def make_restore_point(self, name: str) -> None:
        """Create a restore point in the WAL, and wait until the WAL receiver has flushed it."""
        if not has_backups():
            return
        with progress.step("Making a restore point"):
            point = database.query(f"SELECT pg_create_restore_point('{name}')")
            deadline = time.monotonic() + _WAL_TIMEOUT_S
            while database.query(_FLUSHED.format(point)) != "t":
                if time.monotonic() > deadline:
                    message = "the WAL receiver does not receive the restore point"
                    hint = f"see {command_hints.build('logs wal')}"
                    raise DeployError(message, hint=hint, code=ExitCode.UNAVAILABLE)
                time.sleep(_POLL_S)

    def migrate(self) -> None:
        """Run the candidate's migration, whose schema the previous image supports as well."""
        with progress.step("Migrating the schema") as step:
            try:
                startup.run_job("start", units.MIGRATION, step, migration.Watch().look)
            except DeployError as error:
                of_image = self._is_of_image(units.MIGRATION)
                raise self._fault(error.message, units.MIGRATION, of_image=of_image) from None
            finally:
                migration.kill()
                systemd.systemctl("stop", units.MIGRATION, check=False)
                systemd.systemctl("reset-failed", units.MIGRATION, check=False)
                migration.end_sessions()

    def start_candidate(self) -> None:
        """Start the candidate, and wait until it is ready."""
        systemd.systemctl("start", *CANDIDATE_SOCKETS)
        self._sibling.show()
        with progress.step("Starting the candidate") as step:
            self._start(CANDIDATE, step)

    def stop_candidate(self) -> None:
        """Stop the candidate and its sockets."""
        candidate.remove()
        self._sibling.hide()

    def try_requests(self) -> None:
        """Compare the candidate's responses to test requests with those of the running image."""
        with progress.step("Trying requests on the candidate"):
            comparison = self._compare()
            end = time.monotonic() + _TRIAL_S
            while time.monotonic() < end or comparison.count < _TRIAL_REQUESTS:
                self._require(CANDIDATE, comparison.step())
                self._require_alive(CANDIDATE)

    def watch(self, unit: str, seconds: float | None = None) -> None:
        """Compare an instance and the candidate with the other instances while they serve."""
        with progress.step(f"Watching {unit}"):
            comparison = self._compare()
            watched = tuple(dict.fromkeys((unit, CANDIDATE)))
            looks: dict[str, list[Look]] = {each: [] for each in (*find_instances(), CANDIDATE)}
            end = time.monotonic() + (_SETTLE_S if seconds is None else seconds)
            while time.monotonic() < end:
                for each, found in looks.items():
                    found.append(self._look(each))
                others = [found for each, found in looks.items() if each not in watched]
                # If all siblings have the same problem, the image is not the cause.
                of_image = any(found[-1].ready for found in looks.values())
                for each in watched:
                    self._require_alive(each)
                    self._require(each, find_problem(looks[each], others), of_image=of_image)
                for _ in range(_REQUESTS_PER_LOOK):
                    self._require(CANDIDATE, comparison.step())
                    time.sleep(_PAUSE_S)

    def replace(self, unit: str) -> None:
        """Restart an instance and wait until it is ready; the candidate serves meanwhile."""
        with progress.step(f"Restarting {unit}") as step:
            self._start(unit, step)

    def restore(self, unit: str) -> None:
        """Restart an instance from its installed unit file, with the timeouts of `up`."""
        with progress.step(f"Going back with {unit}") as step:
            systemd.systemctl("reset-failed", unit, check=False)
            startup.run_job("restart", unit, step)
            self._wait_serving(unit, step)

    def discard(self, unwanted: Sequence[Image]) -> None:
        """Remove images that are no longer kept."""
        for image in unwanted:
            images.remove(image)

    def finish(self) -> None:
        """Write the records of the image and the settings of backups after an update."""
        try:
            found = image_build.find(images.TARGET, images.LATEST)
            if found is not None:
                image_build.write_record(found)
            if has_backups():
                backups.save_settings()
        except DeployError as error:
            progress.say(f"Warning: the records of the image were not written: {error}")

    # Internal

    def _start(self, unit: str, step: Step) -> None:
        """Restart an instance; raise a fault after its first failure, or if it is too slow."""
        before = systemd.state(unit).invocation
        self._invocations.pop(unit, None)
        systemd.systemctl("restart", "--no-block", unit)
        limit_s = max(_MIN_START_S, _START_FACTOR * self._start_s)
        began: float | None = None
        reason = ""
        while True:
            now = systemd.state(unit)
            is_new = now.invocation != before
            if is_new and began is None:
                began = time.monotonic()
                self._invocations[unit] = now.invocation
            ended = not now.has_job and now.active in {"failed", "inactive"}
            if ended or (is_new and (now.restarts or now.sub.startswith("auto-restart"))):
                raise self._fault(f"{candidate.ENDED}{startup.explain(unit, now)}", unit)
            if is_new and now.active == "active":
                reason = self._find_reason(unit)
                if not reason:
                    return
            step.note(reason or f"{now.active} ({now.sub})")
            if began is not None and time.monotonic() - began > limit_s:
                # The machine may have become slower since the first measurement.
                now_s = program.measure_start(self._image, self._former)
                limit_s = max(limit_s, _START_FACTOR * now_s)
                if time.monotonic() - began > limit_s:
                    what = reason or "it does not report that it is ready"
                    message = f"not ready after {limit_s:.0f} s: {what}"
                    if unit == CANDIDATE:
                        candidate.kill()
                    raise self._fault(message, unit, of_image=self._is_of_image(unit))
            time.sleep(_POLL_S)

    def _is_of_image(self, unit: str) -> bool:
        """Return whether the image is the cause, as indicated by a ready instance or candidate."""
        return self.serves() or (unit != CANDIDATE and not self._find_reason(CANDIDATE))

    def _find_reason(self, unit: str) -> str:
        """Return why an instance does not yet accept connections; empty if it does."""
        address = self._management(unit)
        try:
            answer, _ = management.get(address, "/readyz")
            if answer != http.client.OK:
                return f"/readyz answers {answer}"
            accepts = _ACCEPTING in management.get(address, "/metrics")[1]
        except DeployError as error:
            return error.message
        return "" if accepts else "it does not accept connections"

    def _wait_serving(self, unit: str, step: Step) -> None:
        """Wait until an instance is ready; raise a DeployError if it exits or takes too long."""
        deadline = time.monotonic() + startup.STALL_TIMEOUT_S
        while reason := self._find_reason(unit):
            step.note(reason)
            now = systemd.state(unit)
            ended = now.active in {"failed", "inactive"} and not now.has_job
            if ended or time.monotonic() > deadline:
                cause = startup.explain(unit, now) if ended else reason
                raise DeployError(f"{unit} did not become ready: {cause}")
            time.sleep(_POLL_S)

    def _look(self, unit: str) -> Look:
        address = self._management(unit)
        try:
            ready = management.get(address, "/readyz", MIN_LIMIT_S)[0] == http.client.OK
            return Look(ready, management.fetch_figures(address, MIN_LIMIT_S))
        except DeployError:
            return Look(ready=False, figures=None)

    def _compare(self) -> Comparison:
        """Return a comparison for the candidate, with the stack if any instance of it is ready."""
        token = _find_token()
        private = addresses.parse(self._expand(CANDIDATE_SOCKETS[0]))
        public = ports.loaded()[0]
        return Comparison(
            lambda call, limit_s: send(private, call, token, limit_s),
            (lambda call, limit_s: send(public, call, token, limit_s)) if self.serves() else None,
            self._known,
        )

    def _require(self, unit: str, problem: str, *, of_image: bool = True) -> None:
        if problem:
            raise self._fault(problem, unit, of_image=of_image)

    def _require_alive(self, unit: str) -> None:
        """Raise a fault if an instance exited, even if its socket has started it again."""
        now = systemd.state(unit)
        started = self._invocations[unit]
        if now.active != "active" or now.invocation != started:
            end = journal.find_end(started)
            how = end.render(unit) if end else startup.explain(unit, now)
            raise self._fault(f"{candidate.ENDED}{how}", unit)

    def _fault(self, reason: str, unit: str, *, of_image: bool = True) -> FaultError:
        if unit == CANDIDATE:
            # Reading the log takes a while, during which users' requests could reach the candidate.
            candidate.end()
            # The reason may already contain the program's own message.
            if not reason.startswith(candidate.ENDED):
                reason = candidate.explain_end(self._invocations.get(unit, "")) or reason
        invocation = self._invocations.get(unit) or systemd.state(unit).invocation
        log = journal.last_lines(unit, _LOG_LINES, invocation)
        return FaultError(reason, unit, of_image=of_image, log=tuple(log))

    def _management(self, unit: str) -> Address:
        if unit == CANDIDATE:
            return addresses.parse(self._expand(CANDIDATE_SOCKETS[1]))
        address = ports.find_management(number_of(unit))
        if address is None:
            raise DeployError(f"{unit} has no management socket")
        return address

    @staticmethod
    def _expand(socket: str) -> str:
        return units.find_path(socket).replace("%t", str(definition.runtime_folder()))


def _find_token() -> str:
    """Return a token from the running program, or from the candidate if none runs."""
    try:
        return admin.token(_USER)
    except DeployError:
        python = ["/usr/bin/python3", "-m", "todo.admin", "token", f"--subject={_USER}"]
        return admin.issue(["podman", "exec", container_of(CANDIDATE), *python])
