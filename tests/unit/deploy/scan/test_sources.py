"""Requests to the sources of a scan, and the meaning of their responses."""

import datetime as dt
from collections.abc import Sequence

import pytest

from deploy.errors import DeployError
from deploy.scan import debian as scan_debian
from deploy.scan import python as scan_python
from deploy.scan.debian import Policy
from deploy.scan.image_inventory import Inventory, Package
from deploy.scan.report import Severity

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
        ("foreign", "99-1", "not-in-the-index", "unknown: Debian has 2-1", ()),
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
    with pytest.raises(DeployError, match="returned nothing about libc6"):
        scan_debian.find("backend", Package("libc6", version), policies["libc6"])
    with pytest.raises(DeployError, match="returned nothing about libc6"):
        scan_debian.find("backend", Package("libc6", version), None)


def test_two_versions_of_a_package_are_asked_one_after_the_other() -> None:
    packages = [Package("a", "1"), Package("a", "2"), Package("b", "1")]
    assert scan_debian.batches(packages) == [[packages[0], packages[2]], [packages[1]]]


def test_apt_is_told_what_is_installed_and_for_which_machine() -> None:
    packages = [Package("libc6", "2.41-12", "arm64"), Package("tzdata", "2026f-0", "all")]
    assert scan_debian.render_names(packages) == "libc6:arm64\ntzdata\n"
    assert "Package: libc6\nStatus: install ok installed\n" in scan_debian.render_status(packages)
    configuration = scan_debian.render_apt_conf(packages, 3)
    assert 'APT::Architecture "arm64";' in configuration
    assert 'APT::Update::Error-Mode "any";' in configuration
    assert 'Acquire::http::Timeout "3";' in configuration


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
    assert unclear.what == "undecided: only commits"


def test_a_package_with_known_flaws_is_asked_about_to_see_that_the_service_knows_any() -> None:
    name, version = scan_python.CANARY
    packages = [Package("alpha", "1"), Package("alpha", "2"), Package(name, "99")]
    assert scan_python.batches(packages) == [
        {name: version, "alpha": "1"},
        {"alpha": "2", name: "99"},
    ]
    assert scan_python.batches([Package(name, version)]) == [{name: version}]


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
        (PIP_AUDIT, "", "reported nothing about gamma"),
        (
            "",
            "WARNING:pip_audit._cli:x\nERROR:pip_audit._cli:gamma: Dependency not found",
            "pip-audit failed: gamma: Dependency not found",
        ),
        (
            "",
            "ERROR:pip_audit._cli:jinja2: Dependency not found on PyPI and could not be audited",
            "the configured package index does not serve advisories",
        ),
        ("", "Traceback\nNameResolutionError: Name or service not known", "reach the network"),
        ("", "", "no reason given"),
    ],
)
def test_pip_audit_that_could_not_tell_about_everything_has_failed(
    stdout: str, stderr: str, message: str
) -> None:
    with pytest.raises(DeployError, match=message) as caught:
        scan_python.read_answer(stdout, stderr, {"gamma": "1"})
    assert "--advisories FILE" in caught.value.hint
