"""The line of `up` about known vulnerabilities in its images, with a cache of results."""

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
"""Time for which the results for the same packages are cached."""
_BOUND_S = 60.0
"""Maximum time that `up` scans for vulnerabilities after it has printed the address."""
_FILE = "scanned.json"
_MORE = "scan --target all"


def find_in_time(
    named_builder: str | None = None,
    *,
    bound_s: float = _BOUND_S,
    search: Callable[[str | None], str | None] | None = None,
) -> str | None:
    """Return the notice like `find`; a timeout, Ctrl-C or a failure makes it "incomplete".

    The stack runs by then: nothing here may make the command that started it fail.

    Args:
        named_builder: Builder image chosen by the user.
        bound_s: Timeout of the search.
        search: Search function; `find` by default.
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
    """The time is over; not an Exception, so that nothing on the way takes it for its own."""


@contextlib.contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """End what runs in the block, programs included, when the time is over."""

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
    """Return the line; None when nothing is wrong, or was said within the last day.

    Quick rather than complete: a network that does not answer costs a few seconds and is a line
    of its own, and where the builder is not at hand it is left to `build.py scan`.

    Args:
        named_builder: The builder that the user named.
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
    """Return the line, and when which images and sets of packages were looked at."""
    base = named_builder or builder.find()
    if base is None:
        return render_unbuilt(), {}
    options = gate.Options(builder=base, brief=True)
    with progress.step("Scanning the images for known vulnerabilities"):
        inventories = gate.read(references, options)
        # Only the program changed: the findings about its packages are still valid.
        known = {
            one.config_digest: memory[one.digest] for one in inventories if one.digest in memory
        }
        new = [one for one in inventories if one.digest not in memory]
        report = gate.judge(new, options) if new else None
    looked_at = {**known, **{one.digest: time.time() for one in new}}
    return render(report) if report else None, looked_at


def render(report: Report) -> str | None:
    """Return the line for a report; None for a clean one."""
    if report.findings:
        found = scan_report.render_count(report.findings)
        return (
            f"Warning: known vulnerabilities in the images: {found}; see "
            f"{command_hints.build(_MORE)}"
        )
    unchecked = [f"{one.name}: {one.problem}" for one in report.sources if one.problem]
    return render_unchecked(unchecked[0]) if unchecked else None


def render_unbuilt() -> str:
    """The line for a machine whose images were built elsewhere, as those of a lab often are."""
    return render_unchecked(
        "it needs the builder image, which is not on this machine", "makes it, then scans"
    )


def render_unchecked(cause: str, scans: str = "tries again") -> str:
    """Return the notice for images that were not scanned, or not by every source.

    Args:
        cause: Cause of the missing scan.
        scans: What the user's own scan does about it ("tries again").
    """
    more = command_hints.build(_MORE)
    return f"Warning: the scan for known vulnerabilities is incomplete: {cause}; {more} {scans}"


def recall(text: str, now: float) -> dict[str, float]:
    """Return the images scanned within the last day: digest -> seconds since 1970.

    Args:
        text: Content of the record; malformed content counts as empty.
        now: Seconds since 1970.
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
    with contextlib.suppress(OSError):  # then it is looked up again
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps(memory, indent=1))
