"""Report of `build.py audit` on the Containerfile, the manifest and the units."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import paths, waivers
from deploy.audit import external, rules
from deploy.audit.external import Checked, CheckerFinding
from deploy.progress import step
from deploy.units import loader

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from deploy.waivers import AuditException

UNITS = "units"
"""Name of the project's own checker for Quadlet units."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """Result of an audit.

    Attributes:
        checked: Results of the checkers.
        findings: Sorted findings, then the exceptions that expired or match nothing.
        accepted: Findings covered by an exception, each with that exception.
    """

    checked: tuple[Checked, ...]
    findings: tuple[CheckerFinding, ...]
    accepted: tuple[tuple[CheckerFinding, AuditException], ...]


def run_audit(today: dt.date, root: Path = paths.REPO) -> Audit:
    """Check a whole checkout, with the exceptions that are valid on a date.

    Only creating the environment of audit.lock needs the network.

    Raises:
        DeployError: A file is malformed or missing, or a checker could not run.
    """
    accepted = waivers.load(root / waivers.FILE.name).audit
    own = check_units(root / paths.QUADLET.name)
    with tempfile.TemporaryDirectory() as scratch, step("Auditing"):
        checked = [*external.run_all(root, Path(scratch)), own]
    return judge(checked, accepted, today)


def check_units(folder: Path) -> Checked:
    """Check the units against the project's rules, alone and with each drop-in of the project."""
    units = loader.load_units(folder, ai=True, instances=True, backup=True)
    variants = loader.load_variants(folder)
    found = [*rules.audit(units), *rules.audit_variants(units, variants)]
    counts = ((units, "unit"), (variants, "drop-in"), (rules.RULES, "rule"))
    scope = f"{folder.name}/ ({', '.join(_count(len(each), name) for each, name in counts)})"
    return Checked(
        UNITS,
        "",
        scope,
        tuple(
            CheckerFinding(UNITS, each.file, each.line, each.rule, each.message, each.fix)
            for each in found
        ),
    )


def judge(checked: Iterable[Checked], listed: Iterable[AuditException], today: dt.date) -> Audit:
    """Compare the findings of the checkers with all exceptions, as of a date."""
    ran, entries = tuple(checked), tuple(listed)
    valid = {(each.tool, each.rule, each.where): each for each in waivers.in_force(entries, today)}
    findings: list[CheckerFinding] = []
    accepted: list[tuple[CheckerFinding, AuditException]] = []
    for finding in sorted(finding for each in ran for finding in each.findings):
        entry = valid.get((finding.tool, finding.rule, finding.where))
        if entry is None:
            findings.append(finding)
        else:
            accepted.append((finding, entry))
    used = {entry for _, entry in accepted}
    findings += [
        CheckerFinding(
            "exceptions", waivers.FILE.name, 0, "STALE", f"{entry}: {problem}", "drop it"
        )
        for entry, problem in waivers.find_problems(entries, used, today)
    ]
    return Audit(ran, tuple(findings), tuple(accepted))


def render_table(audit: Audit) -> str:
    """Return the findings, the accepted findings and the scope of the audit as text."""
    lines = []
    rows = [
        (each.tool, each.rule, f"{each.where}:{each.line}" if each.line else each.where)
        for each in audit.findings
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, finding in zip(rows, audit.findings, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        fix = f" — {finding.fix}" if finding.fix else ""
        lines.append(f"{cells}  {finding.message}{fix}")
    entries = dict.fromkeys(entry for _, entry in audit.accepted)
    if entries:
        lines.append("accepted:")
    for entry in entries:
        times = sum(each is entry for _, each in audit.accepted)
        found = f"{times} x " if times > 1 else ""
        lines.append(f"  {found}{entry.tool} {entry.rule} in {entry.where}, until {entry.expires}")
        lines.append(f"    {entry.reason}")
    lines.append("checked:")
    lines += [f"  {f'{each.tool} {each.version}'.strip()}: {each.scope}" for each in audit.checked]
    lines.append(_count(len(audit.findings), "finding"))
    return "\n".join(lines)


def _count(number: int, name: str) -> str:
    return f"{number or 'no'} {name}{'s' * (number != 1)}"


def render_json(audit: Audit) -> str:
    """Return the result of the audit as a JSON object."""
    return json.dumps(
        {
            "clean": not audit.findings,
            "checked": [
                {"tool": each.tool, "version": each.version, "scope": each.scope}
                for each in audit.checked
            ],
            "findings": [dataclasses.asdict(each) for each in audit.findings],
            "accepted": [
                {
                    **dataclasses.asdict(finding),
                    "reason": entry.reason,
                    "expires": entry.expires.isoformat(),
                }
                for finding, entry in audit.accepted
            ],
        },
        indent=2,
    )
