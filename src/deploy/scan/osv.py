"""Search for vulnerabilities of Python packages in a file of OSV records.

Runs in the environment of scan.lock as `python -m deploy.scan.osv FILE`. Standard input is a JSON
list of names and versions, standard output a JSON document. Only this module needs packages of that
environment (packaging, cvss).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import io
import json
import sys
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from deploy.errors import ExitCode
from deploy.scan.image_inventory import normalized
from deploy.scan.report import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_ECOSYSTEM = "PyPI"
_GZIP = b"\x1f\x8b"
_ZIP = b"PK"
# Order of events at the same version: an advisory may fix a flaw and reintroduce it in one version,
# or name one version as both the first and the last affected.
_RANK = {"fixed": 0, "introduced": 1, "last_affected": 2}

MIN_RECORDS = 7_000
"""Minimum number of records in the full database, which had 7,080 in July 2026 and only grows:
withdrawn records are kept and marked."""

CANARIES = (
    ("jinja2", "2.7.1", "CVE-2014-1402"),
    ("pyyaml", "3.12", "CVE-2017-18342"),
    ("requests", "2.19.1", "CVE-2018-18074"),
    ("urllib3", "1.24.1", "CVE-2019-11324"),
    ("pydantic", "1.7.3", "CVE-2021-29510"),
    ("pyjwt", "2.3.0", "CVE-2022-29217"),
    ("requests", "2.30.0", "CVE-2023-32681"),
    ("jinja2", "3.1.2", "CVE-2024-22195"),
)
"""Packages, versions and well-known vulnerabilities; a database that lacks one of these is not
complete. They are from different years, because a partial database often covers only some years."""


@dataclasses.dataclass(frozen=True)
class Match:
    """An advisory that affects the given version of a package.

    Attributes:
        aliases: Other IDs of the same vulnerability.
        fixed: Versions in which the vulnerability is fixed.
        severity: Highest severity in the record.
        undecided: Reason why it is unknown whether the version is affected, otherwise empty.
    """

    id: str
    aliases: tuple[str, ...]
    package: str
    version: str
    fixed: tuple[str, ...]
    severity: Severity
    undecided: str = ""


def main(arguments: Sequence[str]) -> int:
    """Read the query, print the result, and return the exit code.

    The exit code is EX_DATAERR for a malformed file and EX_UNAVAILABLE for a partial database, each
    with one line on standard error.
    """
    (name,) = arguments
    packages = [(str(package), str(version)) for package, version in json.load(sys.stdin)]
    try:
        records = read(Path(name).read_bytes())
        gap = find_gap(records)
        if gap:
            sys.stderr.write(f"{gap}\n")
            return ExitCode.UNAVAILABLE
        matches = find(records, packages, grade)
        newest = find_date(records, dt.datetime.now(dt.UTC))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.DATA
    answer = {
        "records": len(records),
        "as_of": newest.isoformat() if newest else None,
        "matches": [
            {**dataclasses.asdict(match), "severity": match.severity.label} for match in matches
        ],
    }
    sys.stdout.write(json.dumps(answer))
    return ExitCode.OK


def read(content: bytes) -> list[dict[str, Any]]:
    """Return the records about Python packages from JSON, JSON lines (optionally gzipped) or a ZIP.

    Raises:
        ValueError: The format is unknown, a record is malformed, or no record is about Python.
    """
    found = [record for record in map(_checked, _decoded(content)) if _is_python(record)]
    if not found:
        # The file is for another ecosystem or truncated, so it cannot prove that a package is safe.
        raise ValueError("it has no advisories about Python packages")
    return found


def _decoded(content: bytes) -> Iterator[object]:
    if content.startswith(_GZIP):
        content = gzip.decompress(content)
    if content.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield json.loads(archive.read(name))
        return
    text = content.decode()
    try:
        whole = json.loads(text)
    except ValueError:
        whole = [json.loads(line) for line in text.splitlines() if line.strip()]
    yield from whole if isinstance(whole, list) else [whole]


def _checked(record: object) -> dict[str, Any]:
    if not (isinstance(record, dict) and {"id", "modified"} <= record.keys()):
        raise ValueError("it has a record that is not an OSV advisory")
    return record


def _is_python(record: Mapping[str, Any]) -> bool:
    try:
        return any(_python_parts(record))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{record['id']} is not in OSV format: {error!r}") from error


def _python_parts(record: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the normalized package name and the entry of `affected` for each Python package."""
    for affected in record.get("affected") or ():
        package = affected.get("package") or {}
        if package.get("ecosystem") == _ECOSYSTEM:
            yield normalized(package["name"]), affected


def find_date(records: Iterable[Mapping[str, Any]], now: dt.datetime) -> dt.datetime | None:
    """Return the latest modification time of the records, or None.

    Dates in the future, which the real database contains, are ignored.
    """
    dates = (dt.datetime.fromisoformat(record["modified"]) for record in records)
    aware = (date if date.tzinfo else date.replace(tzinfo=dt.UTC) for date in dates)
    return max((date for date in aware if date <= now), default=None)


def find_gap(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the reason why the database is incomplete; empty if it is complete."""
    number = len({record["id"] for record in records})
    if number < MIN_RECORDS:
        return f"it has {number} records, but the full database has at least {MIN_RECORDS}"
    asked = dict.fromkeys((package, version) for package, version, _ in CANARIES)
    found = {
        (match.package, match.version, name)
        for match in find(records, asked, lambda _: Severity.UNGRADED)
        for name in (match.id, *match.aliases)
    }
    lacking = next((canary for canary in CANARIES if canary not in found), None)
    return "it lacks {2}, a known vulnerability of {0} {1}".format(*lacking) if lacking else ""


def find(
    records: Iterable[Mapping[str, Any]],
    packages: Iterable[tuple[str, str]],
    grade: Callable[[str], Severity],
) -> list[Match]:
    """Return the advisories that affect packages, given by name and version.

    Withdrawn records are ignored, malformed records raise a ValueError. `grade` returns the
    severity of a CVSS vector.
    """
    asked: dict[str, list[tuple[str, str]]] = {}
    for name, version in packages:
        asked.setdefault(normalized(name), []).append((name, version))
    matches: list[Match] = []
    for record in records:
        if record.get("withdrawn"):
            continue
        try:
            matches += _matches(record, asked, grade)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{record['id']} is not in OSV format: {error!r}") from error
    return matches


def _matches(
    record: Mapping[str, Any],
    asked: Mapping[str, Sequence[tuple[str, str]]],
    grade: Callable[[str], Severity],
) -> Iterator[Match]:
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for key, affected in _python_parts(record):
        parts.setdefault(key, []).append(affected)
    for key in parts.keys() & asked.keys():
        for name, version in asked[key]:
            match = _match(record, parts[key], name, version, grade)
            if match is not None:
                yield match


def _match(
    record: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    name: str,
    version: str,
    grade: Callable[[str], Severity],
) -> Match | None:
    verdicts = [is_affected(part, version) for part in parts]
    undecided = next((verdict for verdict in verdicts if isinstance(verdict, str)), "")
    if True not in verdicts and not undecided:
        return None
    return Match(
        id=record["id"],
        aliases=tuple(record.get("aliases", ())),
        package=name,
        version=version,
        fixed=tuple(
            dict.fromkeys(
                event["fixed"]
                for part in parts
                for listed in _ranges(part)
                for event in listed["events"]
                if "fixed" in event
            )
        ),
        severity=_severity(record, parts, grade),
        undecided="" if True in verdicts else undecided,
    )


def is_affected(part: Mapping[str, Any], version: str) -> bool | str:
    """Return whether an entry of `affected` covers a version, or the reason why it is unknown."""
    listed = part.get("versions") or ()
    if version in listed:
        return True
    ranges = _ranges(part)
    if not listed and not ranges:
        return "it lists only commits, not versions"
    try:
        wanted = Version(version)
    except InvalidVersion:
        return f"{version} is not a comparable version"
    if any(wanted == found for found in map(_find_version, listed)):
        return True
    undecided = ""
    for each in ranges:
        try:
            if _covers(each["events"], wanted):
                return True
        except InvalidVersion as error:
            undecided = f"it has a version that is not comparable: {error}"
    return undecided or False


def _ranges(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in part.get("ranges", ()) if each.get("type") != "GIT"]


def _covers(events: Iterable[Mapping[str, str]], wanted: Version) -> bool:
    """Return whether a range covers a version, by the last event up to it (OSV "Evaluation")."""
    ordered = sorted(
        (Version(value), _RANK[kind], kind)
        for event in events
        for kind, value in event.items()
        if kind in _RANK
    )
    inside = False
    for at, _, kind in ordered:
        if kind == "introduced" and wanted >= at:
            inside = True
        elif (kind == "fixed" and wanted >= at) or (kind == "last_affected" and wanted > at):
            inside = False
    return inside


def _find_version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _severity(
    record: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    grade: Callable[[str], Severity],
) -> Severity:
    places = (record, *parts)
    grades = [grade(each["score"]) for place in places for each in place.get("severity") or ()]
    if not any(grades):
        # GitHub's advisories also state a severity as a word.
        words = [(place.get("database_specific") or {}).get("severity", "") for place in places]
        grades += [Severity.of(str(word)) for word in words]
    return max(grades, default=Severity.UNGRADED)


def grade(vector: str) -> Severity:
    """Return the severity of a CVSS vector of version 3 or 4; ungraded if it is invalid."""
    import cvss  # noqa: PLC0415 - not in the environment that the unit tests run in

    kinds = {"CVSS:3": cvss.CVSS3, "CVSS:4": cvss.CVSS4}
    kind = kinds.get(vector[:6])
    try:
        return Severity.of(kind(vector).severities()[0]) if kind else Severity.UNGRADED
    except cvss.CVSSError:
        return Severity.UNGRADED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
