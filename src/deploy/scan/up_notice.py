"""Notice of `up` about known vulnerabilities in its images, with a cache of results."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from typing import TYPE_CHECKING

from deploy import command_hints, paths, progress
from deploy.errors import DeployError
from deploy.image import build, builder
from deploy.scan import gate
from deploy.scan import report as scan_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from deploy.scan.report import Report

_QUIET_S = 86400.0
"""Time in seconds for which results for the same packages are cached."""
_BOUND_S = 60.0
"""Timeout in seconds for the scan by `up`, which runs after `up` has printed the URL."""
_FILE = "scanned.json"
_MORE = "scan --target all"


def find_in_time(
    named_builder: str | None = None,
    *,
    bound_s: float = _BOUND_S,
    search: Callable[[str | None], str | None] | None = None,
) -> str | None:
    """Return the notice of `find`, or one about an incomplete scan after a timeout or an error.

    The stack is already running, so a failed scan must not fail the command.
    """
    try:
        with _bounded(bound_s):
            return (search or find)(named_builder)
    except _ExpiredError:
        return render_unchecked(f"it took longer than {bound_s:.0f} s", "scans without a limit")
    except KeyboardInterrupt:
        return render_unchecked("interrupted")
    except (DeployError, OSError, ValueError) as error:
        return render_unchecked(str(error))


class _ExpiredError(BaseException):
    """The timeout has expired; a BaseException, so that no `except Exception` catches it."""


@contextlib.contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise _ExpiredError in the block after a timeout; this also stops the programs it runs."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise _ExpiredError

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def find(named_builder: str | None = None) -> str | None:
    """Return the notice; None if the images are clean or a scan was tried within the last day.

    The scan is quick rather than complete: it uses short network timeouts, and does not create a
    missing builder image. `named_builder` is the builder image chosen by the user.
    """
    memory = recall(_read(), time.time())
    present = {name: found for name in build.ALL_TARGETS if (found := build.find(name))}
    new = {name: one.reference for name, one in present.items() if one.config_digest not in memory}
    if not new:
        return None
    try:
        line, looked_at = _look(new, memory, named_builder)
    except DeployError as error:
        line, looked_at = render_unchecked(error.message), {}
    now = time.time()
    digests = dict.fromkeys((one.config_digest for one in present.values()), now)
    _write({**digests, **looked_at, **memory})
    return line


def _look(
    references: Mapping[str, str], memory: Mapping[str, float], named_builder: str | None
) -> tuple[str | None, dict[str, float]]:
    """Return the notice, and the scan times by digest of images and sets of packages."""
    base = named_builder or builder.find()
    if base is None:
        return render_unbuilt(), {}
    options = gate.Options(builder=base, brief=True)
    with progress.step("Scanning the images for known vulnerabilities"):
        inventories = gate.read(references, options)
        # The findings about the same packages are still valid in an image with a new application.
        known = {
            one.config_digest: memory[one.digest] for one in inventories if one.digest in memory
        }
        new = [one for one in inventories if one.digest not in memory]
        report = gate.judge(new, options) if new else None
    looked_at = {**known, **{one.digest: time.time() for one in new}}
    return render(report) if report else None, looked_at


def render(report: Report) -> str | None:
    """Return the notice for a report, or None if the report is clean."""
    if report.findings:
        found = scan_report.render_count(report.findings)
        return (
            f"Warning: known vulnerabilities in the images: {found}; see "
            f"{command_hints.build(_MORE)}"
        )
    unchecked = [f"{one.name}: {one.problem}" for one in report.sources if one.problem]
    return render_unchecked(unchecked[0]) if unchecked else None


def render_unbuilt() -> str:
    """Return the notice for a machine without the builder image, such as a lab."""
    return render_unchecked(
        "it needs the builder image, which is not on this machine", "makes it, then scans"
    )


def render_unchecked(cause: str, scans: str = "tries again") -> str:
    """Return the notice about an incomplete scan; `scans` is what the suggested command does."""
    more = command_hints.build(_MORE)
    return f"Warning: the scan for known vulnerabilities is incomplete: {cause}; {more} {scans}"


def recall(text: str, now: float) -> dict[str, float]:
    """Parse the cache: scan times within the last day by digest, in seconds since 1970.

    A malformed cache counts as empty.
    """
    try:
        stored = json.loads(text)
        return {str(key): at for key, at in stored.items() if 0 <= now - at < _QUIET_S}
    except (AttributeError, TypeError, ValueError):
        return {}


def _read() -> str:
    try:
        return (paths.state_dir() / _FILE).read_text()
    except OSError:
        return ""


def _write(memory: Mapping[str, float]) -> None:
    folder = paths.state_dir()
    with contextlib.suppress(OSError):  # without a cache, the next run scans again
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps(memory, indent=1))
