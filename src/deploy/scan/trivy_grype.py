"""Trivy and Grype, where this machine has them: over the SBOM that is inside an image."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import process
from deploy.errors import DeployError
from deploy.scan.image_inventory import normalized
from deploy.scan.report import AdvisorySource, Severity, Vulnerability

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deploy.scan.image_inventory import Inventory

_TIMEOUT_S = 3600.0
"""Both download a database of their own first."""


def installed() -> list[str]:
    """Those that this machine has."""
    return [name for name in _PARSERS if process.find(name)]


def check(
    tool: str, inventories: Sequence[Inventory]
) -> tuple[AdvisorySource, list[Vulnerability]]:
    """Run one of them over the images' SBOMs.

    Flaws that nobody has fixed are left out, as the other sources do not know them either.

    Args:
        tool: `trivy` or `grype`.
        inventories: What is inside the images.

    Raises:
        DeployError: It failed, an image has no SBOM, or its answer cannot be understood.
    """
    findings: list[Vulnerability] = []
    dates: list[dt.datetime] = []
    for inventory in inventories:
        if inventory.sbom is None:
            raise DeployError(f"{inventory.reference} has no SBOM that {tool} could read")
        answer = _run(tool, inventory.sbom)
        try:
            found, date = _PARSERS[tool](answer, inventory.image)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DeployError(f"the answer of {tool} is not understood: {error!r}") from error
        findings += found
        dates += [date] if date else []
    # trivy's report is silent about it.
    if tool == "trivy":
        dates += parse_trivy_version(process.run(["trivy", "version", "--format=json"]).stdout)
    source = AdvisorySource(
        tool.capitalize(), asked=f"{len(inventories)} SBOMs", as_of=min(dates, default=None)
    )
    return source, findings


def parse_trivy(
    answer: Mapping[str, Any], image: str
) -> tuple[list[Vulnerability], dt.datetime | None]:
    """The findings in `trivy sbom --format=json`; it does not say how old its data is."""
    parts = answer.get("Results") or ()
    return [
        Vulnerability(
            image,
            *_package(flaw["PkgName"], (flaw.get("PkgIdentifier") or {}).get("PURL", "")),
            flaw["InstalledVersion"],
            flaw["VulnerabilityID"],
            flaw.get("Title") or "known flaw",
            severity=Severity.of(flaw.get("Severity", "")),
            fixed=tuple(filter(None, flaw.get("FixedVersion", "").split(", "))),
            sources=("Trivy",),
        )
        for part in parts
        for flaw in part.get("Vulnerabilities") or ()
    ], None


def parse_trivy_version(answer: str) -> list[dt.datetime]:
    """When the database of `trivy version --format=json` was made; empty without one."""
    made = (json.loads(answer).get("VulnerabilityDB") or {}).get("UpdatedAt")
    return [_moment(made)] if made else []


def parse_grype(
    answer: Mapping[str, Any], image: str
) -> tuple[list[Vulnerability], dt.datetime | None]:
    """The findings in `grype --output=json`, and when its database was made."""
    findings = [
        Vulnerability(
            image,
            *_package(match["artifact"]["name"], match["artifact"].get("purl", "")),
            match["artifact"]["version"],
            match["vulnerability"]["id"],
            "known flaw",
            severity=Severity.of(match["vulnerability"].get("severity", "")),
            aliases=tuple(one["id"] for one in match.get("relatedVulnerabilities") or ()),
            fixed=tuple((match["vulnerability"].get("fix") or {}).get("versions") or ()),
            sources=("Grype",),
        )
        for match in answer["matches"]
    ]
    database = (answer.get("descriptor") or {}).get("db") or {}
    # Newer versions put it one level deeper.
    made = database.get("built") or (database.get("status") or {}).get("built")
    return findings, _moment(made) if made else None


_PARSERS: Mapping[
    str, Callable[[Mapping[str, Any], str], tuple[list[Vulnerability], dt.datetime | None]]
] = {"trivy": parse_trivy, "grype": parse_grype}


def _run(tool: str, sbom: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="todo-scan-") as name:
        file = Path(name) / "sbom.cdx.json"
        file.write_text(sbom)
        argv = {
            "trivy": ["trivy", "sbom", "--quiet", "--format=json", "--ignore-unfixed", str(file)],
            "grype": ["grype", "--quiet", "--output=json", "--only-fixed", f"sbom:{file}"],
        }
        done = process.run(argv[tool], timeout_s=_TIMEOUT_S)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise DeployError(f"{tool} did not answer in JSON")
    return answer


def _package(name: str, purl: str) -> tuple[str, str]:
    """Kind and name of a package, as findings of the other sources have them."""
    if purl.startswith("pkg:pypi/"):
        return "python", normalized(name)
    return "debian", name


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
