"""Advisories about Python packages, from a file of OSV records or a live service."""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import failure_hints, paths, process
from deploy.bootstrap import venv
from deploy.errors import DeployError, ExitCode
from deploy.scan.image_inventory import normalized
from deploy.scan.report import AdvisorySource, Severity, Vulnerability

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from deploy.scan.image_inventory import Inventory, Package

NAME = "Python advisories"

_TIMEOUT_S = 3600.0
_WHOLE = 10.0
"""Timeout of the whole run, as a multiple of the timeout for one unresponsive server."""
_HURRY_S = 10.0
_ENVIRONMENT_TIMEOUT_S = 60.0
"""Timeout of the environment's creation in scans of `up`; it takes 10 to 20 s."""

_HINT = "to check without it, use a copy of the advisories: --advisories FILE"

_ERROR = "ERROR:pip_audit._cli:"

CANARY = ("jinja2", "2.10")
"""Release with well-known vulnerabilities. A service that reports none of them has no advisories;
mirrors of the package index, for example, have none."""


def check_file(
    inventories: Sequence[Inventory], file: Path
) -> tuple[AdvisorySource, list[Vulnerability]]:
    """Look up the Python packages of images in a file of OSV records.

    Raises:
        DeployError: The file is missing, malformed or incomplete, or the environment cannot be
            created.
    """
    if not file.is_file():
        raise DeployError(f"{file} does not exist", code=ExitCode.USAGE)
    packages = _packages(inventories)
    asked = json.dumps([(package.name, package.version) for package in packages])
    done = process.run(
        [str(venv.ensure("scan")), "-m", "deploy.scan.osv", str(file)],
        stdin=asked,
        check=False,
        timeout_s=_TIMEOUT_S,
        env={"PYTHONPATH": str(paths.REPO / "src"), "PYTHONSAFEPATH": "1"},
    )
    said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    if done.returncode == ExitCode.UNAVAILABLE:
        raise DeployError(
            f"{file.name} is not the complete database of Python advisories: {said}",
            hint="download the database again",
            code=ExitCode.UNAVAILABLE,
        )
    if done.returncode != 0:
        raise DeployError(
            f"cannot read {file.name}: {said}",
            hint="it must contain OSV records as JSON, JSON lines (optionally gzipped) or a ZIP "
            "of JSON files",
            code=ExitCode.DATA,
        )
    answer = json.loads(done.stdout)
    as_of = dt.datetime.fromisoformat(answer["as_of"]) if answer["as_of"] else None
    source = AdvisorySource(
        NAME,
        asked=f"{len(packages)} distributions",
        as_of=as_of,
        detail=f"{answer['records']} records in {file.name}",
    )
    return source, parse_matches(answer["matches"], inventories)


def parse_matches(
    matches: Iterable[Mapping[str, Any]], inventories: Sequence[Inventory]
) -> list[Vulnerability]:
    """Return the findings for the output of `deploy.scan.osv`."""
    return [
        Vulnerability(
            inventory.image,
            "python",
            match["package"],
            match["version"],
            match["id"],
            f"undecided: {match['undecided']}" if match["undecided"] else "known vulnerability",
            severity=Severity.of(match["severity"]),
            aliases=tuple(match["aliases"]),
            fixed=tuple(match["fixed"]),
            sources=(NAME,),
        )
        for match in matches
        for inventory in _having(inventories, match["package"], match["version"])
    ]


def check_live(
    inventories: Sequence[Inventory], *, timeout_s: float, ca_bundle: Path | None
) -> tuple[AdvisorySource, list[Vulnerability]]:
    """Query the package index's advisory service with pip-audit in strict mode.

    Raises:
        DeployError: The service is unreachable, a package is unknown, or there are no advisories.
    """
    packages = _packages(inventories)
    program = _ensure_environment(timeout_s).with_name("pip-audit")
    findings: list[Vulnerability] = []
    warned = False
    for asked in batches(packages):
        answer = _ask(program, asked, timeout_s, ca_bundle)
        warned = warned or bool(answer.get(CANARY[0]) and asked[CANARY[0]] == CANARY[1])
        findings += parse_live(answer, asked, inventories)
    if not warned:
        raise DeployError(
            f"the service has no advisories: it reports no vulnerabilities of {' '.join(CANARY)}, "
            "which has known ones",
            hint=_HINT,
            code=ExitCode.UNAVAILABLE,
        )
    source = AdvisorySource(
        NAME,
        asked=f"{len(packages)} distributions",
        as_of=dt.datetime.now(dt.UTC),
        detail="found by pip-audit, which does not report severities",
    )
    return source, findings


def batches(packages: Iterable[Package]) -> list[dict[str, str]]:
    """Split packages into mappings of name to version, with the canary in the first one."""
    lists = [dict([CANARY])]
    for one in packages:
        free = (asked for asked in lists if asked.get(one.name, one.version) == one.version)
        found = next(free, None)
        if found is None:
            lists.append({one.name: one.version})
        else:
            found[one.name] = one.version
    return lists


def parse_live(
    answer: Mapping[str, Sequence[Mapping[str, Any]]],
    asked: Mapping[str, str],
    inventories: Sequence[Inventory],
) -> list[Vulnerability]:
    """Return the findings for pip-audit's vulnerabilities by package."""
    return [
        Vulnerability(
            inventory.image,
            "python",
            name,
            asked[name],
            flaw["id"],
            "known vulnerability",
            aliases=tuple(flaw["aliases"]),
            fixed=tuple(flaw["fix_versions"]),
            sources=(NAME,),
        )
        for name, flaws in answer.items()
        for flaw in flaws
        for inventory in _having(inventories, name, asked[name])
    ]


def _ask(
    program: Path, asked: Mapping[str, str], timeout_s: float, ca_bundle: Path | None
) -> dict[str, list[Mapping[str, Any]]]:
    """Run pip-audit and return the vulnerabilities by package; see `read_answer`."""
    with tempfile.TemporaryDirectory(prefix="todo-scan-") as name:
        file = Path(name) / "requirements.txt"
        file.write_text("".join(f"{name}=={version}\n" for name, version in asked.items()))
        done = process.run(
            [
                str(program),
                "--strict",
                "--no-deps",
                "--disable-pip",
                "--progress-spinner=off",
                "--format=json",
                "--aliases=on",
                "--desc=off",
                f"--timeout={timeout_s:.0f}",
                # The cache is private, because cached responses may be outdated.
                f"--cache-dir={Path(name) / 'cache'}",
                f"--requirement={file}",
            ],
            check=False,
            timeout_s=_WHOLE * timeout_s,
            env={"REQUESTS_CA_BUNDLE": str(ca_bundle)} if ca_bundle else None,
        )
    return read_answer(done.stdout, done.stderr, asked)


def read_answer(
    stdout: str, stderr: str, asked: Mapping[str, str]
) -> dict[str, list[Mapping[str, Any]]]:
    """Return pip-audit's vulnerabilities by package; raise DeployError if a package is missing."""
    try:
        listed = json.loads(stdout)["dependencies"]
    except (KeyError, TypeError, ValueError):
        raise _failed(stderr) from None
    answer = {normalized(one["name"]): list(one["vulns"]) for one in listed if "vulns" in one}
    silent = sorted(asked.keys() - answer.keys())
    if silent:
        raise _failed(f"it reported nothing about {silent[0]}")
    return answer


def _failed(said: str) -> DeployError:
    symptom = failure_hints.find(said)
    last = (said.strip().splitlines() or ["no reason given"])[-1].removeprefix(_ERROR)
    message = f"pip-audit {symptom.message}" if symptom else f"pip-audit failed: {last}"
    if last.startswith(f"{CANARY[0]}: Dependency not found"):
        # The mirror lacks the URLs of single releases; the package itself exists.
        message = "the configured package index does not serve advisories"
    return DeployError(message, hint=_HINT, code=ExitCode.UNAVAILABLE)


def _ensure_environment(timeout_s: float) -> Path:
    """Return the Python of scan.lock's environment; a brief scan limits the time to create it."""
    if timeout_s >= _HURRY_S:
        return venv.ensure("scan")
    make = "from deploy.bootstrap import venv; venv.ensure('scan')"
    process.run(
        [sys.executable, "-c", make],
        timeout_s=_ENVIRONMENT_TIMEOUT_S,
        env={"PYTHONPATH": str(paths.REPO / "src"), "PIP_RETRIES": "0", "PIP_TIMEOUT": "5"},
    )
    return venv.location("scan") / "bin/python"


def _packages(inventories: Iterable[Inventory]) -> list[Package]:
    return list(dict.fromkeys(one for inventory in inventories for one in inventory.python))


def _having(inventories: Iterable[Inventory], name: str, version: str) -> list[Inventory]:
    return [
        inventory
        for inventory in inventories
        if any((one.name, one.version) == (name, version) for one in inventory.python)
    ]
