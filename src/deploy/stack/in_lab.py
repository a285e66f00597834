"""Stack commands that run inside a lab, for hosts that cannot run the stack themselves."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import itertools
import logging
import secrets
import shutil
import stat
from typing import TYPE_CHECKING

from deploy import command_hints, progress
from deploy.errors import DeployError, ExitCode
from deploy.host import probe
from deploy.image import build
from deploy.lab import manager, rootfs
from deploy.lab import state as lab_state
from deploy.paths import REPO
from deploy.stack import backups, owners, ports, status
from deploy.stack.local_model import UNCHANGED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deploy.stack.local_model import Model, Request

_CHECKOUT = "/srv/todo-backend"
_BUILD = ("python3", f"{_CHECKOUT}/build.py")
IMAGES = "/var/cache/lab/images"
"""Cache folder of built images, shared by the labs of a host."""
_RECORDS = ".local/state/todo-backend/images"
_PUBLIC_PORT = 8000
_MANAGEMENT_PORT = 9000
_BUILD_TIMEOUT_S = 3600.0

log = logging.getLogger(__name__)


def find(*, no_lab: bool = False, lab: str | None = None) -> LabStack | None:
    """Return the lab that a command runs in, or None if the stack runs on this host.

    Args:
        no_lab: Whether to raise instead of using the default lab.
        lab: Name of the lab that the user requested.

    Raises:
        DeployError: This host cannot run the stack and `no_lab` is set, or the name is invalid.
    """
    why = probe.why_not_here()
    if lab is not None:
        return LabStack(lab_state.check_name(lab), why)
    if why is None:
        return None
    if no_lab:
        raise DeployError(
            why,
            hint="python3 build.py doctor shows what is missing",
            code=ExitCode.CONFIG,
        )
    return LabStack(command_hints.DEFAULT_LAB, why)


@dataclasses.dataclass(frozen=True)
class LabStack:
    """The stack in a lab, which may not be running yet.

    Args:
        name: Name of the lab.
        why: Why this host cannot run the stack itself; None if it can.
    """

    name: str
    why: str | None

    def up(
        self,
        arguments: Sequence[str],
        *,
        port: int | None,
        ai: Request = UNCHANGED,
        backup: backups.Request = backups.UNCHANGED,
    ) -> int:
        """Start the lab if needed, and run `up` in it; the lab keeps running.

        Args:
            arguments: Further arguments of `up`.
            port: Port on this host's loopback; None uses the running lab's port, or 8000.
            ai: Options of the local model.
            backup: Options of backups; a folder is a path in the lab.

        Raises:
            DeployError: This host cannot run a lab, the port is in use, or a lab of that name
                publishes another port or contains another checkout.
        """
        machine = self._running()
        if machine is None:
            self._require_lab()
        progress.say(f"{self._reason()} This is a trial in a lab, a disposable Debian machine.")
        progress.say(
            f"Its data is deleted with it; python3 build.py lab down {self.name} asks for "
            "confirmation first."
        )
        if machine is None:
            machine = self._start(port or _PUBLIC_PORT)
        published = _outer(machine, _PUBLIC_PORT)
        if published is None or port not in (None, published):
            there = f"publishes port {published}" if published else "does not publish the backend"
            message = f"the lab {self.name} runs already, and {there}"
            raise DeployError(message, hint=_beside(port), code=ExitCode.CONFIG)
        words = ["up", f"--image-cache={IMAGES}", "--no-lab", *arguments]
        if ai.wanted is not None:
            words.append("--ai" if ai.wanted else "--no-ai")
        if backup.wanted is not None:
            words.append("--backup" if backup.wanted else "--no-backup")
        if backup.folder:
            words.append(f"--backup-folder={backup.folder}")
        with contextlib.ExitStack() as stack:
            if ai.model:
                inside = stack.enter_context(_shared(ai.model))
                words += [f"--model={inside}", f"--sha256={ai.model.sha256}"]
            return _interact(machine, words)

    def image(self, arguments: Sequence[str], packages: Path | None, *, assume_yes: bool) -> int:
        """Build images in the running lab, or in a temporary one.

        `packages` is a file on this host, and `assume_yes` installs this host's missing packages.

        Raises:
            DeployError: The user named a lab that is not running.
        """
        machine = self._find_or_none()
        ends = f" that ends with the build, as do its images; {self._up()} starts one that stays"
        progress.say(f"{self._reason()} Building in a lab{'' if machine else ends}.")
        words = ["image", f"--image-cache={IMAGES}", "--no-lab", *arguments]
        with contextlib.ExitStack() as stack:
            if machine is None:
                machine = stack.enter_context(manager.throwaway(assume_yes=assume_yes))
            if packages:
                words.append(f"--packages={lend(machine, packages)}")
            code = _interact(machine, words)
            # A host that can build keeps the records of its own images.
            if code == 0 and self.why is not None:
                fetch_records(machine)
            return code

    def scan(self, arguments: Sequence[str], advisories: Path | None) -> int:
        """Scan the images of the running lab, or build and scan them in a temporary one.

        `advisories` is a file with OSV records on this host.

        Raises:
            DeployError: The user named a lab that is not running.
        """
        machine = self._find_or_none()
        progress.say(f"{self._reason()} Scanning in a lab.")
        with contextlib.ExitStack() as stack:
            if machine is None:
                machine = stack.enter_context(manager.throwaway())
                words = ["image", f"--image-cache={IMAGES}", "--no-lab", "--target=all"]
                with progress.step("Building the images") as step:
                    machine.stream([*_BUILD, *words], step, timeout_s=_BUILD_TIMEOUT_S)
            lent = [f"--advisories={lend(machine, advisories)}"] if advisories else []
            return _interact(machine, ["scan", "--no-lab", *arguments, *lent])

    def again(self, command: str, arguments: Sequence[str]) -> int:
        """Run a command in the lab that runs the stack, and return its exit code.

        Raises:
            DeployError: The lab is not running.
        """
        return _interact(self.machine(command, *arguments), [command, "--no-lab", *arguments])

    def diagnose(self, lines: int) -> bytes:
        """Return the archive of `diagnose` from the lab, with `lines` log lines of each unit."""
        machine = self.machine("diagnose")
        name = f"diagnose-{secrets.token_hex(4)}.tar.gz"
        words = ["diagnose", "--no-lab", f"--lines={lines}", f"--output={name}"]
        machine.run([*_BUILD, *words], env={command_hints.LAB: machine.name})
        try:
            return base64.b64decode(machine.run(["base64", name]).stdout)
        finally:
            machine.run(["rm", "-f", name])

    def is_up(self) -> bool:
        """Return whether the lab is running.

        Raises:
            DeployError: The lab contains another checkout.
        """
        return self._running() is not None

    def machine(self, *words: str) -> manager.Lab:
        """Return the lab that runs the stack.

        Raises:
            DeployError: The lab is not running; the hint for root runs `words` as the owner.
        """
        machine = self._find_or_none()
        if machine is None:
            _refuse_wrong_user(words or ("status",))
            why = f"this host cannot run the stack itself ({self.why})"
            message = f"nothing runs here: {why}, and {self.render_absence()}"
            raise DeployError(message, hint=self._up(), code=ExitCode.UNAVAILABLE)
        return machine

    def render_absence(self) -> str:
        """Render the message that the lab is not running, with the names of running labs."""
        others = [machine.name for machine in manager.list_labs()]
        return f"no lab {self.name} is up{'; up are: ' if others else ''}{', '.join(others)}"

    def _find_or_none(self) -> manager.Lab | None:
        """Return the running lab or None; raise if the user named a lab that is not running."""
        machine = self._running()
        is_asked = self.why is None or self.name != command_hints.DEFAULT_LAB
        if machine is None and is_asked:
            hint = f"{self._up()} starts it, with a stack of its own"
            raise DeployError(self.render_absence(), hint=hint, code=ExitCode.UNAVAILABLE)
        return machine

    def _up(self) -> str:
        return f"python3 build.py up{_switch(self.name)}"

    def _reason(self) -> str:
        if self.why is None:
            return f"In the lab {self.name}, as requested."
        return f"This host cannot run the stack itself: {self.why}."

    def _require_lab(self) -> None:
        """Raise DeployError, with the alternatives as a hint, if no lab can run on this host."""
        found = probe.probe()
        why = probe.why_no_lab(found)
        if why is None:
            return
        message = f"no lab can run on this host: {why}"
        if self.why is not None:
            message = f"this host can run neither the stack ({self.why}) nor a lab ({why})"
        hint = "python3 build.py dev serves the backend here, on embedded SQLite"
        if not found.root:
            hint += f"; sudo python3 build.py up{_switch(self.name)} starts a lab"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)

    def _start(self, public: int) -> manager.Lab:
        if not ports.is_free(public):
            message = f"port {public} of this host is taken by another program"
            other = f"python3 build.py up{_switch(self.name)} --port {_free_port(public + 1)}"
            raise DeployError(message, hint=f"choose another one: {other}", code=ExitCode.CONFIG)
        # The management port is as far from the public one as in the lab, or the next free port.
        management = _free_port(public + _MANAGEMENT_PORT - _PUBLIC_PORT)
        publish = {public: _PUBLIC_PORT, management: _MANAGEMENT_PORT}
        # As the README says, `up` installs the packages that it needs.
        return manager.start(self.name, publish=publish, assume_yes=True)

    def _running(self) -> manager.Lab | None:
        """Return the running lab of that name or None; raise if it contains another checkout."""
        found = next(
            (machine for machine in manager.list_labs() if machine.name == self.name), None
        )
        if found and found.checkout != str(REPO):
            message = f"the lab {self.name} holds another checkout, {found.checkout or 'unknown'}"
            hint = f"run the command there, or {_beside(None)}"
            raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
        return found


def _refuse_wrong_user(words: Sequence[str]) -> None:
    """Raise DeployError if the stack belongs to another user, or needs a login session."""
    found = probe.probe()
    remedy = probe.find_session_remedy(found)
    if remedy:
        why = probe.why_not_here(found)
        message = f"the stack of {found.user} cannot be reached: {why}"
        raise DeployError(message, hint=remedy, code=ExitCode.UNAVAILABLE)
    stacks = owners.find_owners() if found.root else []
    if stacks:
        message = f"this is root, and the stack belongs to {' and '.join(stacks)}"
        hint = owners.render_hint(stacks[0], words)
        raise DeployError(message, hint=hint, code=ExitCode.UNAVAILABLE)


@contextlib.contextmanager
def _shared(model: Model) -> Iterator[str]:
    """Put a model into the folder that labs share with this host, and yield its path in a lab.

    Models are large, so a file that the lab's user can read is hard-linked instead of copied.
    """
    folder = rootfs.shared_cache() / "models"
    folder.mkdir(exist_ok=True)
    path = folder / f"{secrets.token_hex(4)}-{model.name}"
    try:
        try:
            if not model.path.stat().st_mode & stat.S_IROTH:
                raise PermissionError
            # A hard link to a symbolic link would dangle in the lab.
            path.hardlink_to(model.path.resolve())
        except OSError:
            # The file is private, or on another file system.
            shutil.copyfile(model.path, path)
            path.chmod(0o644)
        yield f"{rootfs.CACHE}/models/{path.name}"
    finally:
        path.unlink(missing_ok=True)


def lend(machine: manager.Lab, path: Path) -> str:
    """Copy a file of this host into a lab, and return its path there.

    Raises:
        DeployError: The file is missing or unreadable.
    """
    if not path.is_file():
        message = f"{path} is not a file"
        raise DeployError(message, hint="name a readable file", code=ExitCode.USAGE)
    lent = f"lent-{secrets.token_hex(4)}-{path.name}"
    try:
        content = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise DeployError(message, hint="name a readable file", code=ExitCode.USAGE) from None
    write = "import base64, sys; open(sys.argv[1], 'wb').write(base64.b64decode(sys.stdin.read()))"
    machine.run(["python3", "-c", write, lent], stdin=content)
    return lent


def fetch_records(machine: manager.Lab) -> None:
    """Copy a lab's records of its images to this host's folder of records."""
    folder = build.record_dir()
    folder.mkdir(parents=True, exist_ok=True)
    for name in machine.run(["ls", _RECORDS]).stdout.split():
        if name.endswith(build.RECORDS):
            text = machine.run(["cat", f"{_RECORDS}/{name}"]).stdout
            (folder / name).write_text(text, encoding="utf-8")


def _interact(machine: manager.Lab, words: Sequence[str]) -> int:
    """Run `build.py` in the lab, with variables for the lab's name and its published addresses."""
    env = {command_hints.LAB: machine.name}
    for variable, inner in (
        (status.PUBLISHED_URL, _PUBLIC_PORT),
        (status.PUBLISHED_MANAGEMENT, _MANAGEMENT_PORT),
    ):
        outer = _outer(machine, inner)
        if outer is not None:
            env[variable] = f"http://127.0.0.1:{outer}"
    verbose = ["--verbose"] if log.isEnabledFor(logging.DEBUG) else []
    return machine.interact([*_BUILD, *verbose, *words], env=env)


def _outer(machine: manager.Lab, inner: int) -> int | None:
    """Return the port of this host that is forwarded to a port of the lab, or None."""
    return next((port for port, to in machine.publish.items() if to == inner), None)


def _beside(port: int | None) -> str:
    """Render the hint to start another lab, for a lab that cannot be used."""
    taken = {machine.name for machine in manager.list_labs()}
    name = next(name for number in itertools.count(2) if (name := f"lab{number}") not in taken)
    free = port or _free_port(_PUBLIC_PORT + 1)
    return f"start another one beside it: python3 build.py up --lab {name} --port {free}"


def _free_port(first: int) -> int:
    """Return the first free port from `first` on, otherwise the first free unprivileged port."""
    candidates = itertools.chain(range(first, 65536), range(1024, first))
    return next(port for port in candidates if ports.is_free(port))


def _switch(name: str) -> str:
    return "" if name == command_hints.DEFAULT_LAB else f" --lab {name}"
