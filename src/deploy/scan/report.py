"""Report of a scan as text, JSON and exit code, without I/O."""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import TYPE_CHECKING, Any

from deploy import waivers
from deploy.errors import ExitCode

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from deploy.waivers import ScanException


class Severity(enum.IntEnum):
    """Published severity of a finding, in ascending order."""

    UNGRADED = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """Lower-case name, such as `high`."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Severity:
        """Return the severity for a rating; ungraded if the rating is unknown."""
        small = _WORDS.get(word.lower(), word.lower())
        return next((one for one in cls if one.label == small), cls.UNGRADED)


_WORDS = {"none": "low", "negligible": "low", "moderate": "medium"}

EXIT_CODES = {
    Severity.UNGRADED: 11,
    Severity.LOW: 11,
    Severity.MEDIUM: 12,
    Severity.HIGH: 13,
    Severity.CRITICAL: 14,
}
"""Exit codes by highest severity, distinct from those of `ExitCode`."""

CANNOT_SEE = (
    "vulnerabilities that Debian has not fixed yet: its index lists fixes only",
    "advisories newer than the data, and unpublished vulnerabilities",
    "packages copied into another package without metadata of their own",
    "files that differed from their package's before the last layer was made",
)


@dataclasses.dataclass(frozen=True)
class Vulnerability:
    """A finding of the scan.

    Attributes:
        image: Name of the image, such as `backend`; empty for a finding without an image.
        kind: `debian`, `python`, `image` (contradictory records) or `exception`.
        id: ID of the vulnerability, which exceptions refer to.
        aliases: Other IDs of the same vulnerability.
        fixed: Versions with a fix.
        sources: Names of the sources that reported the finding.
    """

    image: str
    kind: str
    package: str
    version: str
    id: str
    what: str
    severity: Severity = Severity.UNGRADED
    aliases: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def ids(self) -> frozenset[str]:
        """All IDs of the vulnerability."""
        return frozenset((self.id, *self.aliases))


@dataclasses.dataclass(frozen=True)
class AdvisorySource:
    """A source of advisories and the result of its query.

    Attributes:
        asked: Subject of the query, such as `45 packages`.
        as_of: Date of the data; None if unknown or not queried.
        problem: Reason why the query failed; empty on success.
        left_out: Whether the user excluded the source.
    """

    name: str
    asked: str = ""
    as_of: dt.datetime | None = None
    detail: str = ""
    problem: str = ""
    hint: str = ""
    left_out: bool = False

    @property
    def answered(self) -> bool:
        """Whether the query succeeded, so that the report contains the source's findings."""
        return not self.problem and not self.left_out


@dataclasses.dataclass(frozen=True)
class Scanned:
    """A scanned image.

    Attributes:
        config_digest: Digest of the image configuration, which is the image ID.
        counts: Numbers of components by kind.
        unseen: Components that no source covers.
    """

    name: str
    reference: str
    config_digest: str
    counts: Mapping[str, int]
    unseen: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """Result of a scan; open findings are sorted by severity, accepted ones have exceptions."""

    images: tuple[Scanned, ...]
    debian: AdvisorySource
    python: AdvisorySource
    findings: tuple[Vulnerability, ...] = ()
    accepted: tuple[tuple[Vulnerability, ScanException], ...] = ()

    @property
    def sources(self) -> tuple[AdvisorySource, ...]:
        """All sources, including those that were not queried."""
        return (self.debian, self.python)

    @property
    def exit_code(self) -> int:
        """Exit code: 0 if there are no findings or failed queries, otherwise as in docs/scan.md."""
        if any(source.problem for source in self.sources):
            return ExitCode.UNAVAILABLE
        if self.findings:
            return EXIT_CODES[max(finding.severity for finding in self.findings)]
        return ExitCode.OK


def merge(findings: Iterable[Vulnerability]) -> list[Vulnerability]:
    """Merge findings about the same vulnerability that have different IDs or sources."""
    merged: list[Vulnerability] = []
    for finding in findings:
        same = next((other for other in merged if _is_same(finding, other)), None)
        if same is None:
            merged.append(finding)
            continue
        merged[merged.index(same)] = dataclasses.replace(
            same,
            severity=max(same.severity, finding.severity),
            aliases=tuple(
                name
                for name in dict.fromkeys((*same.aliases, finding.id, *finding.aliases))
                if name != same.id
            ),
            fixed=tuple(dict.fromkeys((*same.fixed, *finding.fixed))),
            sources=tuple(dict.fromkeys((*same.sources, *finding.sources))),
        )
    return sorted(merged, key=_order)


def _is_same(one: Vulnerability, other: Vulnerability) -> bool:
    place = (one.image, one.kind, one.package, one.version)
    return place == (other.image, other.kind, other.package, other.version) and bool(
        one.ids & other.ids
    )


def _order(finding: Vulnerability) -> tuple[object, ...]:
    return (-finding.severity, finding.image, finding.package, finding.version, finding.id)


def accept(
    findings: Iterable[Vulnerability],
    entries: Sequence[ScanException],
    today: dt.date,
    *,
    complete: bool,
) -> tuple[list[Vulnerability], list[tuple[Vulnerability, ScanException]]]:
    """Split findings into open and accepted ones; expired exceptions become findings.

    Unused exceptions become findings only if all sources scanned all images (`complete`).
    """
    left: list[Vulnerability] = []
    accepted = []
    in_force = waivers.in_force(entries, today)
    for finding in findings:
        entry = next((entry for entry in in_force if _covers(entry, finding)), None)
        if entry is None:
            left.append(finding)
        else:
            accepted.append((finding, entry))
    used = {entry for _, entry in accepted}
    for entry, problem in waivers.find_problems(entries, used, today):
        if complete or today > entry.expires:
            left.append(
                Vulnerability(
                    image="",
                    kind="exception",
                    package=entry.package,
                    version="",
                    id=entry.id,
                    what=f"the exception {problem}",
                    sources=(waivers.FILE.name,),
                )
            )
    return sorted(left, key=_order), accepted


def _covers(entry: ScanException, finding: Vulnerability) -> bool:
    return entry.id in finding.ids and entry.package.lower() == finding.package.lower()


def render_claim(report: Report) -> str:
    """Return the closing line of the report: the result, with the dates of the data."""
    unchecked = [source.name for source in report.sources if source.problem]
    if unchecked:
        found = f", and found {render_count(report.findings)}" if report.findings else ""
        return f"The scan failed: it could not check {' and '.join(unchecked)}{found}."
    if report.findings:
        return f"Found {render_count(report.findings)}."
    claims = []
    if report.debian.answered:
        claims.append(f"no pending Debian fix{_as_of(report.debian)}")
    if report.python.answered:
        claims.append(f"no known Python advisory{_as_of(report.python)}")
    claim = " and ".join(claims) or "packages and files match the SBOM; nothing else was checked"
    but = f", except {len(report.accepted)} accepted" if report.accepted else ""
    left_out = [source.name for source in report.sources if source.left_out]
    without = f" Skipped: {', '.join(left_out)}." if left_out else ""
    return f"{claim[0].upper()}{claim[1:]}{but}.{without}"


def render_text(report: Report, now: dt.datetime) -> str:
    """Return the report as text."""
    lines: list[str] = []
    for image in report.images:
        inside = ", ".join(f"{number} {kind}" for kind, number in image.counts.items())
        lines += [f"{image.reference}  config digest {image.config_digest}", f"  {inside}"]
    lines += ["", "Asked", "  SBOM inside: compared with every package and file"]
    lines += [f"  {_render_source(source, now)}" for source in report.sources]
    lines += ["", "Cannot be seen"]
    lines += [f"  {what}" for what in CANNOT_SEE]
    for image in report.images:
        lines += [f"  {image.name}: {what}" for what in image.unseen]
    if report.findings:
        rows = [
            (
                finding.severity.label,
                finding.image,
                f"{finding.package} {finding.version}".strip(),
                ", ".join(finding.fixed) or "-",
                ", ".join([finding.id, *(name for name in finding.aliases if "CVE-" in name)]),
                finding.what,
            )
            for finding in report.findings
        ]
        lines += ["", "Found", *_table(("grade", "image", "package", "fixed in", "id", ""), rows)]
    if report.accepted:
        lines += ["", f"Accepted in {waivers.FILE.name}"]
        for finding, entry in report.accepted:
            lines.append(
                f"  {finding.package} {finding.version}  {finding.id}  "
                f"until {entry.expires}: {entry.reason}"
            )
    return "\n".join([*lines, "", render_claim(report), ""])


def to_document(report: Report) -> dict[str, Any]:
    """Return the report as a JSON document."""
    return {
        "images": [dataclasses.asdict(image) for image in report.images],
        "sources": [
            {
                **dataclasses.asdict(source),
                "as_of": source.as_of.isoformat() if source.as_of else None,
            }
            for source in report.sources
        ],
        "cannot_see": [
            *CANNOT_SEE,
            *(f"{image.name}: {what}" for image in report.images for what in image.unseen),
        ],
        "findings": [_finding(finding) for finding in report.findings],
        "accepted": [
            {**_finding(finding), "reason": entry.reason, "expires": entry.expires.isoformat()}
            for finding, entry in report.accepted
        ],
        "claim": render_claim(report),
        "exit_code": int(report.exit_code),
    }


def _finding(finding: Vulnerability) -> dict[str, Any]:
    return {**dataclasses.asdict(finding), "severity": finding.severity.label}


def render_count(findings: Sequence[Vulnerability]) -> str:
    """Render the number of findings by severity: `3 problems (1 high, 2 ungraded)`."""
    grades = collections.Counter(finding.severity.label for finding in findings)
    parts = ", ".join(f"{number} {label}" for label, number in grades.items())
    return f"{len(findings)} problem{'' if len(findings) == 1 else 's'} ({parts})"


def _as_of(source: AdvisorySource) -> str:
    return f" as of {source.as_of.date()}" if source.as_of else ""


def _render_source(source: AdvisorySource, now: dt.datetime) -> str:
    if source.problem:
        hint = f" — {source.hint}" if source.hint else ""
        return f"{source.name}: NOT CHECKED: {source.problem}{hint}"
    if source.left_out:
        return f"{source.name}: skipped ({source.detail})"
    age = "of unknown age"
    if source.as_of:
        days = (now - source.as_of).days
        age = f"of {source.as_of.date()}, {days} day{'' if days == 1 else 's'} old"
    return ", ".join(filter(None, (f"{source.name}: {source.asked}", f"data {age}", source.detail)))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  "
        + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
