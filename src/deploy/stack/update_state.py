"""State files of updates: the current update, past updates, kept images and refused images.

Reading a damaged file raises DeployError.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from deploy import atomic_write, command_hints, folder_lock, paths, progress
from deploy.errors import DeployError, ExitCode
from deploy.stack import planned_errors
from deploy.stack.install import Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

KEPT = 3
"""Number of kept images, including the running one."""
UPDATE, ROLLBACK, CONTRACT = "update", "rollback", "contract"
MIGRATE, TRY, WATCH, SWITCH, FINISH = "migrate", "try", "watch", "switch", "finish"
"""Steps of an update in their order; from `WATCH` on the candidate serves users."""
_KINDS, _STEPS = {UPDATE, ROLLBACK, CONTRACT}, {MIGRATE, TRY, WATCH, SWITCH, FINISH}

_RECORD, _HISTORY, _REFUSED, _KEPT = "record.json", "history.json", "refused.json", "kept.json"
FILES = (_RECORD, _HISTORY, _REFUSED, _KEPT)
_MAX_ENTRIES = 20


@dataclasses.dataclass(frozen=True)
class Image:
    """An image of the backend.

    Attributes:
        reference: Tag by which updates keep the image.
        digest: Digest of its configuration, "sha256:…".
        version: Version of the program.
        inputs: Digest of the build inputs.
    """

    reference: str
    digest: str
    version: str = ""
    inputs: str = ""


@dataclasses.dataclass(frozen=True)
class KeptImage:
    """An image that updates keep, with the unit files that it ran with: name -> text."""

    image: Image
    units: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An image that failed and is not tried again, with the last lines of its log."""

    image: Image
    reason: str
    log: tuple[str, ...]
    at: str


@dataclasses.dataclass(frozen=True)
class Record:
    """Record of a running or interrupted update.

    Attributes:
        kind: "update", "rollback" or "contract".
        step: Current step.
        former: Image that the stack ran before.
        candidate: Image to update to.
        units: All unit files before the update: name -> text or link.
        sources: Unit files of the candidate's image: name -> text.
        started: Start time of the update.
    """

    kind: str
    step: str
    former: Image
    candidate: Image
    units: Mapping[str, str | Link]
    sources: Mapping[str, str]
    started: str

    def render_recovery(self) -> str:
        """Describe how the next command that changes the stack recovers from an interruption."""
        return "finishes it" if self.step == FINISH else f"goes back to {self.former.reference}"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Outcome of an update, with the tags of its images.

    The result is "updated", "rolled back", "refused", "interrupted" or "failed".
    """

    kind: str
    result: str
    former: str
    candidate: str
    reason: str
    started: str
    ended: str


@dataclasses.dataclass(frozen=True)
class UpdateStatus:
    """Status of updates.

    Attributes:
        kept: Tags of the kept images, the newest last.
        previous: Tag that `rollback` returns to; None if there is none.
        refused: Images that are not tried again.
        running: Kind and step of the running update; None if there is none.
        interrupted: Kind and step of an interrupted update; None if there is none.
        resumed: How the next command that changes the stack recovers; None if not interrupted.
        last: Outcome of the last update; None before the first.
    """

    kept: tuple[str, ...]
    previous: str | None
    refused: tuple[Refusal, ...]
    running: str | None
    interrupted: str | None
    resumed: str | None
    last: Outcome | None


@contextlib.contextmanager
def hold() -> Iterator[None]:
    """Exclude other commands that change the stack while the block runs."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    title = "Waiting for another build.py that changes the stack"
    with folder_lock.hold(folder, lambda: progress.step(title)), planned_errors.noted(folder):
        yield


def find_planned_errors() -> planned_errors.PlannedErrors:
    """Return the filter for log errors that commands caused."""
    return planned_errors.find(_folder())


def is_held() -> bool:
    """Return whether a command that changes the stack is running."""
    folder = _folder()
    return folder.is_dir() and folder_lock.is_held(folder)


def find_status(digest: str | None) -> UpdateStatus:
    """Return the status of updates, given the digest of the running image."""
    record = find_record()
    step = f"{record.kind}, {record.step}" if record else None
    kept, refused = find_kept(), find_refused()
    left_out = {digest, *(each.image.digest for each in refused)}
    others = [each.image.reference for each in kept if each.image.digest not in left_out]
    history = find_history()
    return UpdateStatus(
        kept=tuple(each.image.reference for each in kept),
        previous=others[-1] if others else None,
        refused=tuple(refused),
        running=step if is_held() else None,
        interrupted=None if is_held() else step,
        resumed=record.render_recovery() if record and not is_held() else None,
        last=history[-1] if history else None,
    )


def find_record() -> Record | None:
    """Return the running or interrupted update, or None."""
    try:
        found = _load(_RECORD)
    except FileNotFoundError:
        return None
    with _explained(_RECORD):
        units = {name: _parse_unit(unit) for name, unit in found.pop("units").items()}
        former, candidate = (_parse_image(found.pop(name)) for name in ("former", "candidate"))
        sources = _parse_texts(found.pop("sources"))
        record = Record(
            **_parse_texts(found), former=former, candidate=candidate, units=units, sources=sources
        )
        if record.kind not in _KINDS or record.step not in _STEPS:
            message = f"{record.kind}, {record.step}"
            raise ValueError(message)
        return record


def write_record(record: Record) -> None:
    """Save the state of the current update."""
    units = {name: _render_unit(unit) for name, unit in record.units.items()}
    # The units are added below: `asdict` would turn links into dicts of another format.
    plain = dataclasses.asdict(dataclasses.replace(record, units={}))
    _write(_RECORD, {**plain, "units": units})


def remove_record() -> None:
    """Delete the record of the current update."""
    (_folder() / _RECORD).unlink(missing_ok=True)


def find_history() -> list[Outcome]:
    """Return the outcomes of updates, oldest first."""
    with _explained(_HISTORY):
        return [Outcome(**_parse_texts(each)) for each in _read(_HISTORY)]


def add_outcome(outcome: Outcome) -> None:
    """Append an outcome to the history."""
    _write(
        _HISTORY, [dataclasses.asdict(each) for each in [*find_history(), outcome]][-_MAX_ENTRIES:]
    )


def find_refused() -> list[Refusal]:
    """Return the images that are not tried again."""
    with _explained(_REFUSED):
        return [
            Refusal(
                _parse_image(each.pop("image")), log=tuple(each.pop("log")), **_parse_texts(each)
            )
            for each in _read(_REFUSED)
        ]


def refuse(refusal: Refusal) -> None:
    """Exclude an image from further updates."""
    others = [each for each in find_refused() if each.image.digest != refusal.image.digest]
    _write_refused([*others, refusal])


def accept(image: Image) -> None:
    """Allow an image, and builds of the same inputs, to be tried again."""
    _write_refused(
        [
            each
            for each in find_refused()
            if each.image.digest != image.digest
            and (each.image.inputs != image.inputs or not image.inputs)
        ]
    )


def find_kept() -> list[KeptImage]:
    """Return the images that updates keep, the running one last."""
    with _explained(_KEPT):
        return [
            KeptImage(_parse_image(each["image"]), _parse_texts(each["units"]))
            for each in _read(_KEPT)
        ]


def keep(*kept: KeptImage) -> list[KeptImage]:
    """Keep images, the running one last, and return those that are no longer kept."""
    digests = {each.image.digest for each in kept}
    found = [*(each for each in find_kept() if each.image.digest not in digests), *kept]
    _write(_KEPT, [dataclasses.asdict(each) for each in found[-KEPT:]])
    return found[:-KEPT]


def drop(images: Iterable[Image]) -> None:
    """Record that these images are no longer kept."""
    digests = {each.digest for each in images}
    left = [each for each in find_kept() if each.image.digest not in digests]
    _write(_KEPT, [dataclasses.asdict(each) for each in left])


def _folder() -> Path:
    return paths.state_dir() / "update"


def find_file(name: str) -> Path:
    """Return the path of a state file, one of `FILES`."""
    return _folder() / name


def _write_refused(refused: list[Refusal]) -> None:
    _write(_REFUSED, [dataclasses.asdict(each) for each in refused][-_MAX_ENTRIES:])


def _render_unit(unit: str | Link) -> str | dict[str, str]:
    return {"link": unit.target} if isinstance(unit, Link) else unit


def _parse_unit(unit: str | dict[str, str]) -> str | Link:
    return Link(_parse_text(unit["link"])) if isinstance(unit, dict) else _parse_text(unit)


def _parse_image(found: Any) -> Image:  # noqa: ANN401 - as `_load`
    return Image(**_parse_texts(found))


def _parse_texts(found: Any) -> dict[str, str]:  # noqa: ANN401 - as `_load`
    return {name: _parse_text(text) for name, text in found.items()}


def _parse_text(found: Any) -> str:  # noqa: ANN401 - as `_load`
    if not isinstance(found, str):
        message = f"{found!r} is not a text"
        raise TypeError(message)
    return found


def _read(name: str) -> list[Any]:
    """Return the entries of a list; [] if the file is missing."""
    try:
        found = _load(name)
    except FileNotFoundError:
        return []
    with _explained(name):
        return [*found]


def _load(name: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(find_file(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(name, f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise _unusable(name, f"is damaged: {error}") from None


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise _unusable(name, f"is damaged: {type(error).__name__}: {error}") from None


def _unusable(name: str, reason: str) -> DeployError:
    path = find_file(name)
    hint = f"move it aside: {command_hints.shell(f'mv {path} {path}.damaged')}"
    if name == _RECORD:
        # No other file contains the name of the previous image.
        down, up = command_hints.build("down"), command_hints.build("up")
        hint += f"; then {down} ends what the update left, and {up} starts this checkout"
    return DeployError(f"{path} {reason}", hint=hint, code=ExitCode.DATA)


def _write(name: str, content: object) -> None:
    path = find_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(path, f"{json.dumps(content, indent=1)}\n")
