"""Report of the audit: output of the checkers, exceptions, and failing checkers."""

import dataclasses
import datetime as dt
import json
from pathlib import Path

import pytest

from deploy import waivers
from deploy.audit import external
from deploy.audit import report as audit_report
from deploy.audit.external import Checked, CheckerFinding
from deploy.audit.report import Audit
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO
from deploy.waivers import AuditException

TODAY = dt.date(2027, 1, 31)
FOUND = CheckerFinding(
    "checkov", "kube/todo.yaml", 19, "CKV_K8S_1", "Deployment.todo: do not", "do"
)
OTHER = dataclasses.replace(FOUND, line=40)
ENTRY = AuditException("checkov", "CKV_K8S_1", "kube/todo.yaml", "It is needed.", TODAY)

CONTAINERFILE = "FROM a AS b\nFROM scratch\n"
MANIFEST = "---\nkind: Pod\n---\nkind: Service\n---\n"
PASSED = "INFO kube/todo.yaml passed for resource pod/todo against version 1.37\n"
HADOLINT = json.dumps(
    [
        {
            "code": "DL3008",
            "column": 1,
            "file": "Containerfile",
            "level": "warning",
            "line": 9,
            "message": "Pin versions",
        }
    ]
)


def check(name: str, line: int = 1) -> dict[str, object]:
    return {
        "check_id": name,
        "check_name": f"the name of {name}",
        "resource": "Dockerfile.FROM",
        "file_line_range": [line, 99],
    }


def report(framework: str, **results: list[dict[str, object]]) -> dict[str, object]:
    lists = {"passed": [], "failed": [], "skipped": [], **results}
    return {
        "check_type": framework,
        "results": {f"{kind}_checks": found for kind, found in lists.items()},
        "summary": {"parsing_errors": 0},
    }


def unavailable(error: pytest.ExceptionInfo[DeployError]) -> str:
    assert error.value.code is ExitCode.UNAVAILABLE
    assert error.value.hint
    return error.value.message


def judge(*findings: CheckerFinding, entries: tuple[AuditException, ...] = ()) -> Audit:
    return audit_report.judge([Checked("checkov", "3", "kube/todo.yaml", findings)], entries, TODAY)


# -- hadolint -------------------------------------------------------------------------------------


def test_a_finding_of_hadolints_has_its_line() -> None:
    checked = external.read_hadolint(HADOLINT, CONTAINERFILE, "2")
    assert checked.scope == "Containerfile (2 stages)"
    assert checked.findings == (
        CheckerFinding("hadolint", "Containerfile", 9, "DL3008", "Pin versions"),
    )


@pytest.mark.parametrize("text", ["", "# FROM a\n", "RUN true\n"])
def test_hadolint_on_nothing_is_a_failure(text: str) -> None:
    with pytest.raises(DeployError) as caught:
        external.read_hadolint("[]", text, "2")
    assert "hadolint looked at nothing" in unavailable(caught)


def test_hadolint_without_json_is_a_failure() -> None:
    with pytest.raises(DeployError) as caught:
        external.read_hadolint("Segmentation fault", CONTAINERFILE, "2")
    assert unavailable(caught) == "hadolint did not print JSON: Segmentation fault"


# -- checkov --------------------------------------------------------------------------------------


def test_findings_of_checkovs_are_those_of_both_files_with_their_true_names() -> None:
    reports = [
        report("kubernetes", failed=[check("CKV_K8S_1", 19)], passed=[check("CKV_K8S_2")]),
        report("dockerfile", skipped=[check("CKV_DOCKER_1", 7)], passed=[check("CKV_DOCKER_2")]),
    ]
    checked = external.read_checkov(json.dumps(reports), "3")
    assert checked.scope == "Containerfile (2 checks), kube/todo.yaml (2 checks)"
    assert [(each.where, each.line, each.rule, each.message) for each in checked.findings] == [
        (
            "Containerfile",
            7,
            "CKV_DOCKER_1",
            "Containerfile.FROM: the name of CKV_DOCKER_1, suppressed by a comment",
        ),
        ("kube/todo.yaml", 19, "CKV_K8S_1", "Containerfile.FROM: the name of CKV_K8S_1"),
    ]


BOTH = [
    report("dockerfile", passed=[check("CKV_DOCKER_1")]),
    report("kubernetes", passed=[check("CKV_K8S_1")]),
]


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        ({"passed": 0, "failed": 0}, "has no report on Containerfile"),
        (BOTH[:1], "has no report on kube/todo.yaml"),
        ([report("dockerfile"), BOTH[1]], "could not read Containerfile"),
        ([BOTH[0], {**BOTH[1], "summary": {"parsing_errors": 1}}], "could not read kube/todo.yaml"),
    ],
)
def test_checkov_on_nothing_is_a_failure(reports: object, reason: str) -> None:
    assert external.read_checkov(json.dumps(BOTH), "3").findings == ()
    with pytest.raises(DeployError) as caught:
        external.read_checkov(json.dumps(reports), "3")
    assert reason in unavailable(caught)


# -- kubernetes-validate --------------------------------------------------------------------------


def test_a_document_that_is_invalid_is_a_finding() -> None:
    reason = "spec: Additional properties are not allowed ('replicaz' was unexpected)"
    wrong = (
        "ERROR kube/todo.yaml did not validate for resource deployment/todo against version 1.37: "
        f"{reason}\n"
    )
    checked = external.read_validate(PASSED + wrong, MANIFEST, "1.37.0")
    assert checked.scope == "kube/todo.yaml (2 documents, strict)"
    assert [(each.rule, each.message) for each in checked.findings] == [
        ("SCHEMA", f"deployment/todo: {reason}")
    ]


def test_a_document_without_a_schema_is_a_finding() -> None:
    warning = "WARN kube/todo.yaml Couldn't find schema for kind Pod\n"
    checked = external.read_validate(PASSED + warning, MANIFEST, "1.37.0")
    assert [(each.rule, each.message) for each in checked.findings] == [
        ("WARN", "Couldn't find schema for kind Pod")
    ]


@pytest.mark.parametrize(
    ("output", "manifest"), [("", "---\n"), (PASSED, MANIFEST), ("", MANIFEST), (PASSED * 3, "")]
)
def test_validation_of_less_than_every_document_is_a_failure(output: str, manifest: str) -> None:
    with pytest.raises(DeployError) as caught:
        external.read_validate(output, manifest, "1.37.0")
    assert "documents of kube/todo.yaml" in unavailable(caught)


# -- A checker that cannot run --------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the checkers in place of their environment."""
    monkeypatch.setattr("deploy.bootstrap.venv.ensure", lambda _purpose: tmp_path / "python")
    return tmp_path


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "ended with exit code 127"),
        ("echo out of memory >&2; exit 3", "ended with exit code 3: out of memory"),
        ("exit 0", "did not print JSON"),
    ],
)
def test_a_checker_that_does_not_work_is_a_failure(
    programs: Path, tmp_path: Path, script: str | None, reason: str
) -> None:
    if script:
        (programs / "hadolint").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "hadolint").chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(DeployError) as caught:
        external.run_all(REPO, scratch)
    assert unavailable(caught).startswith(f"hadolint {reason}")


def test_a_checker_sees_nothing_of_who_runs_it(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKV_SKIP_CHECK", "CKV_K8S_1")
    script = f"#!/bin/sh\n{{ /usr/bin/env; pwd; }} > {tmp_path}/seen; exit 3\n"
    (programs / "hadolint").write_text(script)
    (programs / "hadolint").chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(DeployError):
        external.run_all(REPO, scratch)
    seen = set((tmp_path / "seen").read_text().splitlines())
    allowed = {f"{name}={value}" for name, value in external.ENVIRONMENT.items()}
    assert seen - {"_=/usr/bin/env", f"PWD={scratch}"} == {
        *allowed,
        f"HOME={scratch}",
        str(scratch),
    }


@pytest.mark.parametrize("name", ["Containerfile", "kube/todo.yaml"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    (root / "kube").mkdir(parents=True)
    scratch.mkdir()
    for each in {"Containerfile", "kube/todo.yaml"} - {name}:
        (root / each).write_text("")
    with pytest.raises(DeployError, match=f"{name} is missing") as caught:
        external.run_all(root, scratch)
    assert caught.value.code is ExitCode.DATA


# -- Exceptions -----------------------------------------------------------------------------------


def test_an_exception_accepts_its_rule_in_its_file() -> None:
    result = judge(FOUND, OTHER, entries=(ENTRY,))
    assert result.findings == ()
    assert result.accepted == ((FOUND, ENTRY), (OTHER, ENTRY))


@pytest.mark.parametrize("change", [{"tool": "units"}, {"rule": "CKV_K8S_2"}, {"where": "x"}])
def test_an_exception_for_something_else_accepts_nothing_and_is_named(
    change: dict[str, str],
) -> None:
    entry = dataclasses.replace(ENTRY, **change)  # type: ignore[arg-type] # it knows no better
    result = judge(FOUND, entries=(entry,))
    assert [(each.tool, each.rule) for each in result.findings] == [
        ("checkov", "CKV_K8S_1"),
        ("exceptions", "STALE"),
    ]
    assert result.findings[1].message == f"{entry}: no longer matches anything"


def test_an_expired_exception_accepts_nothing_and_is_named() -> None:
    late = dataclasses.replace(ENTRY, expires=TODAY - dt.timedelta(days=1))
    result = judge(FOUND, entries=(late,))
    assert result.accepted == ()
    assert [each.message for each in result.findings] == [
        FOUND.message,
        f"{late}: expired on 2027-01-30",
    ]


def test_the_projects_exceptions_about_units_are_all_needed() -> None:
    checked = audit_report.check_units(REPO / "quadlet")
    entries = [each for each in waivers.load().audit if each.tool == audit_report.UNITS]
    result = audit_report.judge([checked], entries, TODAY)
    assert result.findings == ()
    assert {entry for _, entry in result.accepted} == set(entries)


# -- What is printed ------------------------------------------------------------------------------


def test_the_table_says_what_is_wrong_what_is_accepted_and_what_was_checked() -> None:
    result = judge(FOUND, OTHER, dataclasses.replace(FOUND, rule="R", line=0), entries=(ENTRY,))
    assert audit_report.render_table(result).splitlines() == [
        "checkov  R  kube/todo.yaml  Deployment.todo: do not — do",
        "accepted:",
        "  2 x checkov CKV_K8S_1 in kube/todo.yaml, until 2027-01-31",
        "    It is needed.",
        "checked:",
        "  checkov 3: kube/todo.yaml",
        "1 finding",
    ]


def test_a_clean_result_says_so() -> None:
    assert audit_report.render_table(judge()).splitlines()[-1] == "no findings"
    assert json.loads(audit_report.render_json(judge()))["clean"] is True


def test_the_json_holds_the_same() -> None:
    result = judge(FOUND, dataclasses.replace(FOUND, rule="R"), entries=(ENTRY,))
    found = {
        "tool": "checkov",
        "where": "kube/todo.yaml",
        "line": 19,
        "message": "Deployment.todo: do not",
        "fix": "do",
    }
    assert json.loads(audit_report.render_json(result)) == {
        "clean": False,
        "checked": [{"tool": "checkov", "version": "3", "scope": "kube/todo.yaml"}],
        "findings": [{**found, "rule": "R"}],
        "accepted": [
            {**found, "rule": "CKV_K8S_1", "reason": "It is needed.", "expires": "2027-01-31"}
        ],
    }


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_bytes(b"FROM scratch\n# \xff\n")
    with pytest.raises(
        DeployError, match="Containerfile is not UTF-8: invalid start byte at byte 15"
    ):
        external.read_source(tmp_path / "Containerfile")
