"""The same command inside a lab, where this host cannot run the stack itself."""

from __future__ import annotations

import base64
import contextlib
import logging
import secrets
import sys
from typing import TYPE_CHECKING

from deploy import host, progress
from deploy.errors import DeployError, ExitCode
from deploy.lab import labs
from deploy.paths import REPO
from deploy.stack import status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = "default"
"""The lab that holds the trial; `build.py lab shell` enters the same one."""

_CHECKOUT = "/srv/todo-backend"
_BUILD = ("python3", f"{_CHECKOUT}/build.py")
_IMAGES = "/var/cache/lab/images"
_PUBLIC_PORT = 8000
_BUILD_TIMEOUT_S = 3600.0
_ANEW = f"end it, with its data, and start over: python3 build.py lab down {NAME}"

log = logging.getLogger(__name__)


def reason(*, no_lab: bool) -> str | None:
    """Why the stack cannot run on this host, or None when it can.

    Args:
        no_lab: Refuse instead of naming a reason to go into a lab.

    Raises:
        DeployError: It cannot, and `no_lab` is set.
    """
    why = host.why_not_here()
    if why and no_lab:
        raise DeployError(
            why,
            hint="python3 build.py doctor says what is missing",
            code=ExitCode.CONFIG,
        )
    return why


def up(why: str, arguments: Sequence[str], *, port: int | None) -> int:
    """Start the lab where needed and run `up` inside; it goes on running afterwards.

    Args:
        why: Why this host cannot run the stack.
        arguments: Further words for `up`.
        port: Port on this host's loopback; 8000 when None.
    """
    public = port or _PUBLIC_PORT
    say(f"This host cannot run the stack itself: {why}.")
    say(
        "So this is a trial in a lab, a throwaway Debian machine: its data lives in the lab and "
        f"goes with it (python3 build.py lab down {NAME})."
    )
    machine = _running()
    if machine is None:
        machine = labs.start(NAME, publish={public: _PUBLIC_PORT})
    published = [outer for outer, inner in machine.publish.items() if inner == _PUBLIC_PORT]
    if not published or (port and port not in published):
        ports = f"port {published[0]}" if published else "no port of the backend"
        message = f"the lab {NAME} runs already, and publishes {ports}"
        raise DeployError(message, hint=_ANEW, code=ExitCode.CONFIG)
    words = ["up", f"--image-cache={_IMAGES}", "--no-lab", *arguments]
    return _interact(machine, words)


def image(why: str, arguments: Sequence[str], packages: Path | None) -> int:
    """Build images in the running lab, or in one that lasts as long as the build.

    Args:
        why: Why this host cannot build.
        arguments: Further words for `image`.
        packages: A package lock on this host.
    """
    say(f"This host cannot build rootless itself: {why}. Building in a lab.")
    words = ["image", f"--image-cache={_IMAGES}", "--no-lab", *arguments]
    with contextlib.ExitStack() as stack:
        machine = _running() or stack.enter_context(labs.throwaway())
        if packages:
            words.append(f"--packages={lend(machine, packages)}")
        return _interact(machine, words)


def scan(why: str, arguments: Sequence[str], advisories: Path | None) -> int:
    """Scan the images of the running lab; without one, those that a lab builds for it.

    Args:
        why: Why there are no images on this host.
        arguments: Further words for `scan`.
        advisories: A file of OSV records on this host.
    """
    say(f"This host cannot run the stack itself: {why}. Scanning in a lab.")
    with contextlib.ExitStack() as stack:
        machine = _running()
        if machine is None:
            machine = stack.enter_context(labs.throwaway())
            words = ["image", f"--image-cache={_IMAGES}", "--no-lab", "--target=all"]
            with progress.step("Building the images") as step:
                machine.stream([*_BUILD, *words], step, timeout_s=_BUILD_TIMEOUT_S)
        lent = [f"--advisories={lend(machine, advisories)}"] if advisories else []
        return _interact(machine, ["scan", "--no-lab", *arguments, *lent])


def lend(machine: labs.Lab, path: Path) -> str:
    """Copy a file of this host into a lab, and return its path there.

    Raises:
        DeployError: It cannot be read.
    """
    if not path.is_file():
        message = f"{path} is no file"
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


def again(why: str, command: str, arguments: Sequence[str]) -> int:
    """Run a command of the running stack inside the lab that holds it.

    Raises:
        DeployError: There is no such lab.
    """
    machine = _running()
    if machine is None:
        raise DeployError(
            f"nothing runs here: this host cannot run the stack itself ({why}), and no lab is up",
            hint="python3 build.py up",
            code=ExitCode.UNAVAILABLE,
        )
    return _interact(machine, [command, "--no-lab", *arguments])


def _interact(machine: labs.Lab, words: Sequence[str]) -> int:
    """Run `build.py` inside, telling it the address that this host's users see."""
    ports = [outer for outer, inner in machine.publish.items() if inner == _PUBLIC_PORT]
    env = {status.PUBLISHED_URL: f"http://127.0.0.1:{ports[0]}"} if ports else {}
    verbose = ["--verbose"] if log.isEnabledFor(logging.DEBUG) else []
    return machine.interact([*_BUILD, *verbose, *words], env=env)


def _running() -> labs.Lab | None:
    """The lab of the trial, or None.

    Raises:
        DeployError: It was started from another checkout, which is the one that it holds.
    """
    found = next((machine for machine in labs.list_labs() if machine.name == NAME), None)
    if found and found.checkout != str(REPO):
        message = f"the lab {NAME} holds another checkout, {found.checkout or 'an older one'}"
        raise DeployError(message, hint=_ANEW, code=ExitCode.CONFIG)
    return found


def say(line: str) -> None:
    """Tell the user something on standard error, where progress goes."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
