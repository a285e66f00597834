"""Table of `build.py status`: units, figures, and the verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deploy import command_hints
from deploy.stack import drift

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deploy.stack.backup_status import BackupStatus
    from deploy.stack.images import ImageStatus
    from deploy.stack.management import Figures
    from deploy.stack.overview import Instance, Overview, UnitStatus
    from deploy.stack.update_state import UpdateStatus

_GIB = 1024**3
_MIB = 1024**2
_SHORT = 12
_LABEL = 10
_COLUMNS = 200
_LOG_LINES = 3
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_LOW = 0.1
"""Free share of a disk below which it is reported as nearly full."""


def render(now: Overview, *, color: bool = False, notes: Iterable[str] = ()) -> str:
    """Return the table, followed by notes about problems and the verdict, optionally in color."""
    at = datetime.fromisoformat(now.at) if now.at else datetime.now(UTC)
    verdict = f"ready at {now.url}" if now.ready else f"{now.state}: {now.reason}"
    if color:
        verdict = f"\033[{32 if now.ready else 31}m{verdict}\033[0m"
    lines = [
        *_units(now, at),
        "",
        *_figures(now, at),
        *_notes(now),
        *notes,
        verdict,
        *([f"health and metrics at {now.management}"] if now.management else []),
    ]
    return "\n".join([*lines, ""])


def render_age(seconds: float) -> str:
    """Return a duration in its two largest units: "3 d 4 h"."""
    left = max(0, int(seconds))
    words: list[str] = []
    for name, length in _UNITS:
        count, left = divmod(left, length)
        if count or words or name == "s":
            words.append(f"{count} {name}")
    return " ".join(word for word in words[:2] if len(words) == 1 or not word.startswith("0 "))


def _units(now: Overview, at: datetime) -> Iterator[str]:
    header = ("unit", "state", "for", "health", "restarts", "image")
    rows = [header, *(_row(unit, at) for unit in now.units)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        yield "  ".join(
            f"{cell:>{width}}" if name == "restarts" else f"{cell:<{width}}"
            for cell, width, name in zip(row, widths, header, strict=True)
        ).rstrip()


def _row(unit: UnitStatus, at: datetime) -> tuple[str, ...]:
    return (
        unit.unit,
        f"{unit.active} ({unit.sub})",
        _age(unit.since, at) or "-",
        unit.health or "-",
        str(unit.restarts),
        (unit.image or "-")[:_SHORT],
    )


def _figures(now: Overview, at: datetime) -> Iterator[str]:
    many = len(now.instances) > 1
    for instance in now.instances:
        if many:
            at_address = f", health and metrics at {instance.management}"
            yield f"{instance.unit}{at_address if instance.management else ''}:"
        yield from _instance(instance, now, at)
    for image in now.images:
        yield _line("image", _image(image, at))
    for disk in now.disks:
        share = disk.free_bytes / disk.total_bytes if disk.total_bytes else 0.0
        low = ", nearly full" if share < _LOW else ""
        free = f"{disk.free_bytes / _GIB:.1f} of {disk.total_bytes / _GIB:.1f} GiB free"
        yield _line("disk", f"{free} ({share:.0%}){low}, with {disk.holds}")
    if now.backup is not None:
        yield from _backup(now.backup, at)
    if now.update is not None:
        yield from _update(now.update, at)
    for part, why in now.unknown.items():
        # The verdict contains the reason.
        if part != "readiness":
            yield _line(part, f"unknown: {why}")
    yield from _errors(now)


def _instance(instance: Instance, now: Overview, at: datetime) -> Iterator[str]:
    figures = instance.figures
    if figures is None:
        # The verdict contains this reason.
        if instance.unknown != now.reason:
            yield _line("backend", f"unknown: {instance.unknown}")
        return
    yield _line("version", _version(figures))
    age = _age(figures.started_at, at)
    started = [f"started {age} ago"] if age else []
    memory = [f"{figures.memory_bytes / _MIB:.0f} MiB"] if figures.memory_bytes else []
    requests = [f"{count} answers {status}" for status, count in figures.requests.items()]
    yield _line("process", ", ".join([*started, *memory, *requests]))
    pool = figures.pool
    used = f"{pool.in_use} of {pool.size} connections at work, {pool.idle} idle"
    yield _line("pool", f"{used}, {pool.waiters} requests waiting")
    breakers = (f"{name} {state}" for name, state in figures.breakers.items())
    yield _line("breakers", ", ".join(breakers))
    lag = figures.loop_lag
    if lag is not None:
        bound = (
            "more than the largest bucket"
            if lag.p99_s is None
            else f"at most {lag.p99_s * 1000:g} ms"
        )
        mean = f"on average {lag.mean_s * 1000:.1f} ms"
        yield _line("loop lag", f"{mean}, 99 % {bound}, since its start")


def _version(figures: Figures) -> str:
    words = f"{figures.version}, for schema {figures.schema}"
    if figures.database_schema is None:
        return f"{words}; the database's schema is unknown: it was not reached yet"
    if figures.database_schema == figures.schema:
        return f"{words}, which the database has"
    later = f", for programs from {figures.oldest_program} on" if figures.oldest_program else ""
    return f"{words}; the database has {figures.database_schema or 'none'}{later}"


def _image(image: ImageStatus, at: datetime) -> str:
    if image.id is None:
        return f"{image.name} is not in this user's image storage"
    words = [f"{image.name} {image.id[:_SHORT]}"]
    tagged = _age(image.built_at, at)
    if tagged:
        words.append(f"tagged {tagged} ago")
    if image.revision:
        committed = _age(image.committed_at, at)
        ago = f", {committed} old" if committed else ""
        words.append(f"of commit {image.revision[:_SHORT]}{ago}")
    return ", ".join(words)


def _backup(backup: BackupStatus, now: datetime) -> Iterator[str]:
    if backup.newest is None or backup.age_seconds is None:
        words = ["none yet"]
    else:
        size = f"{(backup.bytes or 0) / _MIB:.0f} MiB"
        words = [f"{render_age(backup.age_seconds)} ago, {size}"]
        words.append(f"{backup.count} with {backup.total_bytes / _GIB:.1f} GiB in {backup.folder}")
    if backup.last is not None and not backup.last.ok:
        words.append(f"the last run failed: {backup.last.reason}")
    yield _line("backup", ", ".join(words))
    wal = backup.wal
    if wal is None:
        yield _line("WAL", "not received: the database has no slot for it")
    elif wal.kept == "lost" or wal.lag_bytes is None:
        yield _line("WAL", "some of it is lost: make a backup")
    else:
        verb = "received" if wal.receiving else "not received now"
        yield _line("WAL", f"{verb}, {wal.lag_bytes / _MIB:.1f} MiB behind")
    yield _line("drill", _drill(backup.drill, now))


def _update(update: UpdateStatus, at: datetime) -> Iterator[str]:
    last = update.last
    if update.running:
        yield _line("update", f"under way: {update.running}")
    elif last is not None:
        result = "done" if last.result == "updated" else last.result
        words = f"{last.kind} to {last.candidate}, {result} {_age(last.ended, at)} ago"
        yield _line("update", f"{words}: {last.reason}" if last.reason else words)
    if update.previous:
        back = command_hints.build("rollback")
        yield _line("previous", f"{update.previous}; {back} goes back to it")
    for each in update.refused:
        age = _age(each.at, at)
        yield _line("refused", f"{each.image.reference}, {age} ago: {each.reason}")
        for line in each.log[-_LOG_LINES:]:
            yield f"  {line[:_COLUMNS]}"


def _drill(drill: Mapping[str, Any] | None, now: datetime) -> str:
    """Render the outcome of the last restore drill."""
    if drill is None:
        return "none yet"
    age = _age(drill.get("at"), now)
    when = f"{age} ago" if age else "at an unknown time"
    if not drill.get("ok"):
        return f"failed {when}: {drill.get('reason')}"
    figures = f"RPO {drill.get('rpo_seconds')} s, RTO {drill.get('rto_seconds')} s"
    return f"the backup was complete {when}, {figures}, {drill.get('rows')} rows"


def _errors(now: Overview) -> Iterator[str]:
    found = now.errors
    if found is None:
        return
    planned = f", without {found.planned} that commands caused" if found.planned else ""
    if not found.latest:
        none = f"none in the last {found.searched} lines{_local(found.since)}{planned}"
        yield _line("errors", none if found.searched else "the log is empty")
        return
    yield _line("errors", f"the latest {len(found.latest)}{planned}:")
    for line in found.latest:
        first = line.render().partition("\n")[0]
        yield f"  {first}" if len(first) <= _COLUMNS else f"  {first[:_COLUMNS]}…"


def _notes(now: Overview) -> Iterator[str]:
    notes = [f"{unit.unit} {unit.active}: {unit.cause}" for unit in now.units if unit.cause]
    current = {image.name: image.id for image in now.images if image.id}
    for unit in now.units:
        newer = current.get(unit.image_name or "", unit.image)
        if unit.image and newer != unit.image:
            notes.append(f"{unit.unit} runs an older image than {unit.image_name} is now")
    if now.update is not None and now.update.interrupted:
        what = f"an update was interrupted ({now.update.interrupted})"
        command = command_hints.build("restart")
        notes.append(f"{what}; {command}, or the next update, {now.update.resumed}")
    notes += drift.describe({unit.unit: unit.differs for unit in now.units if unit.differs})
    if now.units and not now.linger:
        notes.append(f"linger is off: all of it stops when {now.user} logs out")
    yield from notes


def _line(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}  {text}"


def _age(time: str | None, at: datetime) -> str:
    return "" if time is None else render_age((at - datetime.fromisoformat(time)).total_seconds())


def _local(time: str | None) -> str:
    if time is None:
        return ""
    local = datetime.fromisoformat(time).astimezone()
    return f", since {local:%Y-%m-%d %H:%M:%S}"
