"""What each source of a scan is asked, and what its answers mean."""

import datetime as dt
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.scan import advisories
from deploy.scan import debian as scan_debian
from deploy.scan import others as scan_others
from deploy.scan import python as scan_python
from deploy.scan.debian import Policy
from deploy.scan.inventory import Inventory, Package
from deploy.scan.report import Severity
from tests.osv import render_database

ANSWER = """\
=== release
Codename: trixie-security
Date: Mon, 23 Nov 2026 11:22:38 UTC
=== /ask/0-0.status
libssl3t64:
  Installed: 3.5.1-1
  Candidate: 3.5.9-1~deb13u1
  Version table:
     3.5.9-1~deb13u1 500
        500 http://deb.example/debian trixie/main amd64 Packages
     3.5.7-1~deb13u3 500
        500 http://deb.example/debian-security trixie-security/main amd64 Packages
 *** 3.5.1-1 100
        100 /ask/0-0.status
libc6:
  Installed: 2.41-12
  Candidate: 2.41-12
  Version table:
     2.41-12 500
        500 http://deb.example/debian trixie/main amd64 Packages
 *** 2.41-12 100
        100 /ask/0-0.status
tzdata:
  Installed: 2026f-0
  Candidate: 2026g-0
  Version table:
     2026g-0 500
        500 http://deb.example/debian trixie-updates/main amd64 Packages
 *** 2026f-0 500
        500 http://deb.example/debian trixie/main amd64 Packages
        100 /ask/0-0.status
foreign:
  Installed: 99-1
  Candidate: 99-1
  Version table:
 *** 99-1 100
        100 /ask/0-0.status
     2-1 500
        500 http://deb.example/debian trixie/main amd64 Packages
"""


def inside(debian: Sequence[Package] = (), python: Sequence[Package] = ()) -> Inventory:
    return Inventory(
        image="backend",
        reference="localhost/x",
        config_digest="sha256:1",
        debian=tuple(debian),
        python=tuple(python),
        vendored=(),
        compiled=(),
        files=0,
        sbom="{}",
        findings=(),
    )


@pytest.fixture(scope="module")
def policies() -> dict[str, Policy]:
    return scan_debian.parse(ANSWER)[1]["0-0"]


def test_the_date_of_an_index_is_read() -> None:
    (release,) = scan_debian.parse(ANSWER)[0]
    assert release.codename == "trixie-security"
    assert release.date == dt.datetime(2026, 11, 23, 11, 22, 38, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("name", "version", "identity", "what", "fixed"),
    [
        (
            "libssl3t64",
            "3.5.1-1",
            "trixie/3.5.9-1~deb13u1",
            "pending security fix",
            ("3.5.9-1~deb13u1",),
        ),
        ("tzdata", "2026f-0", "trixie-updates/2026g-0", "pending update", ("2026g-0",)),
        ("foreign", "99-1", "not-in-the-index", "nobody can tell: Debian has 2-1", ()),
    ],
)
def test_a_package_that_is_not_what_debian_has_is_found(
    policies: dict[str, Policy],
    name: str,
    version: str,
    identity: str,
    what: str,
    fixed: tuple[str, ...],
) -> None:
    found = scan_debian.find("backend", Package(name, version, "amd64"), policies[name])
    assert found is not None
    assert (found.package, found.version) == (name, version)
    assert (found.id, found.what, found.fixed) == (identity, what, fixed)


def test_a_package_of_the_newest_version_is_not_found(policies: dict[str, Policy]) -> None:
    assert scan_debian.find("backend", Package("libc6", "2.41-12"), policies["libc6"]) is None


@pytest.mark.parametrize("version", ["2.41-11", "2.41-13"])
def test_an_answer_about_another_version_is_none(policies: dict[str, Policy], version: str) -> None:
    with pytest.raises(DeployError, match="did not answer about libc6"):
        scan_debian.find("backend", Package("libc6", version), policies["libc6"])
    with pytest.raises(DeployError, match="did not answer about libc6"):
        scan_debian.find("backend", Package("libc6", version), None)


def test_two_versions_of_a_package_are_asked_one_after_the_other() -> None:
    packages = [Package("a", "1"), Package("a", "2"), Package("b", "1")]
    assert scan_debian.turns(packages) == [[packages[0], packages[2]], [packages[1]]]


def test_apt_is_told_what_is_installed_and_for_which_machine() -> None:
    packages = [Package("libc6", "2.41-12", "arm64"), Package("tzdata", "2026f-0", "all")]
    assert scan_debian.render_names(packages) == "libc6:arm64\ntzdata\n"
    assert "Package: libc6\nStatus: install ok installed\n" in scan_debian.render_status(packages)
    configuration = scan_debian.render_apt_conf(packages, 3)
    assert 'APT::Architecture "arm64";' in configuration
    assert 'APT::Update::Error-Mode "any";' in configuration
    assert 'Acquire::http::Timeout "3";' in configuration


def record(
    events: Sequence[dict[str, str]] = (), versions: Sequence[str] = (), **more: object
) -> dict[str, Any]:
    part: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": "Alpha_One"}}
    if events:
        part["ranges"] = [{"type": "ECOSYSTEM", "events": list(events)}]
    if versions:
        part["versions"] = list(versions)
    return {"id": "PYSEC-1", "modified": "2026-01-01T00:00:00Z", "affected": [part], **more}


def names(records: Sequence[dict[str, Any]], version: str) -> list[str]:
    found = advisories.find(records, [("alpha-one", version)], lambda _: Severity.UNGRADED)
    return [f"{match.id}?" if match.undecided else match.id for match in found]


TWICE = [{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"fixed": "2.1"}]


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("0.1", True),
        ("1.2rc1", True),
        ("1.2", False),
        ("1.10", False),
        ("2.0", True),
        ("2.0.5+local", True),
        ("2.1", False),
    ],
)
def test_a_version_lies_in_a_range_or_not(version: str, affected: bool) -> None:  # noqa: FBT001 - a case
    assert names([record(TWICE)], version) == (["PYSEC-1"] if affected else [])
    assert names([record(TWICE[::-1])], version) == (["PYSEC-1"] if affected else [])


@pytest.mark.parametrize(("version", "affected"), [("1.0", True), ("1.0.1", False), ("0.9", False)])
def test_the_last_affected_version_is_affected(version: str, affected: bool) -> None:  # noqa: FBT001 - a case
    events = [{"introduced": "1.0"}, {"last_affected": "1.0"}]
    assert names([record(events)], version) == (["PYSEC-1"] if affected else [])


def test_listed_versions_are_affected_however_they_are_spelled() -> None:
    listed = record(versions=["1.0", "1.1"])
    assert names([listed], "1.0.0") == ["PYSEC-1"]
    assert names([listed], "1.2") == []


def test_withdrawn_and_foreign_advisories_do_not_count() -> None:
    withdrawn = record(versions=["1.0"], withdrawn="2026-02-01T00:00:00Z")
    foreign = record(versions=["1.0"])
    foreign["affected"][0]["package"]["ecosystem"] = "npm"
    assert names([withdrawn, foreign], "1.0") == []


def test_what_nobody_can_tell_is_said_and_not_passed_over() -> None:
    commits = record()
    commits["affected"][0]["ranges"] = [{"type": "GIT", "events": [{"introduced": "0"}]}]
    odd = record([{"introduced": "0"}, {"fixed": "2.0-NA"}])
    assert names([commits], "1.0") == ["PYSEC-1?"]
    assert names([odd], "1.0") == ["PYSEC-1?"]
    assert names([record(TWICE)], "2004d-x") == ["PYSEC-1?"]
    assert names([record(versions=["2004d-x"])], "2004d-x") == ["PYSEC-1"]


def test_the_worst_grade_of_an_advisory_counts() -> None:
    scores = [{"type": "CVSS_V3", "score": "low"}, {"type": "CVSS_V4", "score": "high"}]
    graded = record(versions=["1"], severity=scores)
    worded = record(versions=["1"], database_specific={"severity": "MODERATE"})
    found = advisories.find([graded, worded], [("alpha-one", "1")], Severity.of)
    assert [match.severity for match in found] == [Severity.HIGH, Severity.MEDIUM]


def test_records_of_every_shape_are_read() -> None:
    one, other = record(), record(id="PYSEC-2")
    lines = "\n".join(map(json.dumps, (one, other))).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("PYSEC-1.json", json.dumps(one))
        archive.writestr("PYSEC-2.json", json.dumps(other))
        archive.writestr("README", "no record")
    for content in (
        json.dumps([one, other], indent=1).encode(),
        lines,
        gzip.compress(lines),
        packed.getvalue(),
    ):
        assert [found["id"] for found in advisories.read(content)] == ["PYSEC-1", "PYSEC-2"]
    assert [found["id"] for found in advisories.read(json.dumps(one).encode())] == ["PYSEC-1"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[1]",
        b'{"id": "X"}',
        b'{"id": "X", "modified": "2026-01-01T00:00:00Z", "affected": [1]}',
        b'{"id": "X", "modified": "2026-01-01T00:00:00Z", "affected": []}',
    ],
)
def test_a_file_without_an_advisory_about_python_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        advisories.read(content)


def test_a_whole_database_has_no_gap() -> None:
    assert advisories.find_gap(render_database()) == ""


def test_a_database_cut_short_is_told_by_its_number_of_records() -> None:
    cut = render_database()[: advisories.LEAST - 1]
    assert advisories.find_gap(cut) == "it has 6999 of at least 7000 records"
    assert advisories.find_gap([record()]) == "it has 1 of at least 7000 records"
    assert advisories.find_gap([record()] * advisories.LEAST) == "it has 1 of at least 7000 records"


@pytest.mark.parametrize("at", range(len(advisories.CANARIES)))
def test_a_database_that_does_not_know_an_old_flaw_is_no_whole_one(at: int) -> None:
    package, version, flaw = advisories.CANARIES[at]
    without = render_database(record())
    del without[at]
    assert advisories.find_gap(without) == f"it does not know {flaw}, a flaw of {package} {version}"


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ([record()], ExitCode.UNAVAILABLE, "it has 1 of at least 7000 records"),
        ([], ExitCode.DATA, "it holds no advisory about Python packages"),
    ],
)
def test_part_of_a_database_is_answered_like_a_service_out_of_reach(
    content: list[dict[str, Any]],
    code: ExitCode,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "part.json"
    file.write_text(json.dumps(content))
    monkeypatch.setattr("sys.stdin", io.StringIO("[]"))
    assert advisories.main([str(file)]) == code
    assert capsys.readouterr().err == f"{message}\n"


def test_a_record_dated_ahead_says_nothing_about_the_age_of_the_data() -> None:
    now = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    ahead = record(modified="2027-07-09T15:54:00Z")
    assert advisories.find_date([record(), ahead], now) == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert advisories.find_date([ahead], now) is None


def test_matches_become_findings_of_the_images_that_have_the_package() -> None:
    match = {
        "id": "PYSEC-1",
        "aliases": ["CVE-1"],
        "package": "alpha",
        "version": "1",
        "fixed": ["2"],
        "severity": "critical",
        "undecided": "",
    }
    having, other = inside(python=[Package("alpha", "1")]), inside(python=[Package("alpha", "2")])
    (found,) = scan_python.parse_matches([match], [having, other])
    assert (found.image, found.package, found.severity) == ("backend", "alpha", Severity.CRITICAL)
    (unclear,) = scan_python.parse_matches([{**match, "undecided": "only commits"}], [having])
    assert unclear.what == "nobody can tell: only commits"


def test_a_package_with_known_flaws_is_asked_about_to_see_that_the_service_knows_any() -> None:
    name, version = scan_python.CANARY
    packages = [Package("alpha", "1"), Package("alpha", "2"), Package(name, "99")]
    assert scan_python.turns(packages) == [
        {name: version, "alpha": "1"},
        {"alpha": "2", name: "99"},
    ]
    assert scan_python.turns([Package(name, version)]) == [{name: version}]


def test_what_the_service_says_about_the_canary_is_no_finding() -> None:
    name, version = scan_python.CANARY
    flaw = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}
    answer = {name: [flaw], "alpha": [flaw], "beta": []}
    asked = {name: version, "alpha": "1", "beta": "1"}
    (found,) = scan_python.parse_live(answer, asked, [inside(python=[Package("alpha", "1")])])
    assert (found.package, found.id, found.aliases) == ("alpha", "PYSEC-1", ("CVE-1",))


PIP_AUDIT = """\
{"dependencies": [{"name": "alpha-one", "version": "1.0", "vulns": [{"id": "PYSEC-1",
"fix_versions": ["2"], "aliases": ["CVE-1"]}]}, {"name": "beta", "version": "1", "vulns": []}],
"fixes": []}
"""


def test_the_answer_of_pip_audit_is_read_whatever_its_exit_code() -> None:
    answer = scan_python.read_answer(PIP_AUDIT, "Found 1", {"alpha-one": "1.0", "beta": "1"})
    assert {name: [flaw["id"] for flaw in flaws] for name, flaws in answer.items()} == {
        "alpha-one": ["PYSEC-1"],
        "beta": [],
    }


@pytest.mark.parametrize(
    ("stdout", "stderr", "message"),
    [
        (PIP_AUDIT, "", "said nothing about gamma"),
        (
            "",
            "WARNING:pip_audit._cli:x\nERROR:pip_audit._cli:gamma: Dependency not found",
            "pip-audit failed: gamma: Dependency not found",
        ),
        (
            "",
            "ERROR:pip_audit._cli:jinja2: Dependency not found on PyPI and could not be audited",
            "the package index that answers here tells nothing of advisories",
        ),
        ("", "Traceback\nNameResolutionError: Name or service not known", "reach the network"),
        ("", "", "no word why"),
    ],
)
def test_pip_audit_that_could_not_tell_about_everything_has_failed(
    stdout: str, stderr: str, message: str
) -> None:
    with pytest.raises(DeployError, match=message) as caught:
        scan_python.read_answer(stdout, stderr, {"gamma": "1"})
    assert "--advisories FILE" in caught.value.hint


# The shapes of the two programs' answers, after their documentation.
TRIVY = {
    "Results": [
        {"Target": "OS", "Class": "os-pkgs"},
        {
            "Target": "Python",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-1",
                    "PkgName": "Jinja2",
                    "PkgIdentifier": {"PURL": "pkg:pypi/jinja2@2.10"},
                    "InstalledVersion": "2.10",
                    "FixedVersion": "2.10.1, 2.11",
                    "Severity": "HIGH",
                    "Title": "Sandbox escape",
                }
            ],
        },
    ]
}
GRYPE = {
    "matches": [
        {
            "vulnerability": {
                "id": "CVE-2",
                "severity": "Negligible",
                "fix": {"versions": ["3.5.9-1"], "state": "fixed"},
            },
            "relatedVulnerabilities": [{"id": "CVE-3"}],
            "artifact": {
                "name": "libssl3t64",
                "version": "3.5.1-1",
                "type": "deb",
                "purl": "pkg:deb/debian/libssl3t64@3.5.1-1",
            },
        }
    ],
    "descriptor": {"name": "grype", "db": {"status": {"built": "2026-11-20T01:30:31Z"}}},
}


def test_what_trivy_finds_is_told_like_everything_else() -> None:
    (found,), _ = scan_others.parse_trivy(TRIVY, "backend")
    assert (found.kind, found.package, found.version) == ("python", "jinja2", "2.10")
    assert (found.id, found.severity) == ("CVE-1", Severity.HIGH)
    assert found.fixed == ("2.10.1", "2.11")
    version = '{"Version": "1", "VulnerabilityDB": {"UpdatedAt": "2026-11-20T06:07:07.9950408Z"}}'
    assert scan_others.parse_trivy_version(version)[0].date() == dt.date(2026, 11, 20)
    assert scan_others.parse_trivy_version('{"Version": "1"}') == []


def test_what_grype_finds_is_told_like_everything_else() -> None:
    (found,), made = scan_others.parse_grype(GRYPE, "backend")
    assert (found.kind, found.package, found.version) == ("debian", "libssl3t64", "3.5.1-1")
    assert sorted(found.ids) == ["CVE-2", "CVE-3"]
    assert found.severity is Severity.LOW
    assert made == dt.datetime(2026, 11, 20, 1, 30, 31, tzinfo=dt.UTC)
    older = {"matches": [], "descriptor": {"db": {"built": "2026-11-20T01:30:31Z"}}}
    assert scan_others.parse_grype(older, "backend") == ([], made)
