"""The scan of the images that were just built, and of one that somebody has changed."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from deploy.lab import rootfs as lab_rootfs
from tests.machine_clock import CLOCK
from tests.osv import render_database
from tests.system.stack_in_lab import BUILD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deploy.process import Completed
    from tests.system.stack_in_lab import Stack

DOCTORED = "localhost/doctored:latest"
SITE = "usr/local/lib/python3.13/dist-packages"
ADVISORIES = "advisories.jsonl"
OLD_PYTHON = {"jinja2": "2.10", "urllib3": "1.24", "requests": "2.5.0"}
OLD_DEBIAN = ("libssl3t64", "3.0.2-1")

# One vector for each grade, in both versions of CVSS that advisories use.
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
HIGH = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N"
MEDIUM = "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"


def advisory(identity: str, package: str, fixed: str, vector: str, **more: str) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": fixed}]
    return {
        "id": identity,
        "modified": "2026-01-02T03:04:05Z",
        "aliases": [identity.replace("PYSEC", "CVE")],
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ],
        "severity": [{"type": "CVSS", "score": vector}],
        **more,
    }


RECORDS = (
    advisory("PYSEC-1", "Jinja2", "2.10.1", CRITICAL),
    advisory("PYSEC-2", "urllib3", "1.24.2", HIGH),
    advisory("PYSEC-3", "requests", "2.6.0", MEDIUM),
    # What the image has is newer than the fix of the one, and the other was withdrawn.
    advisory("PYSEC-4", "fastapi", "0.65.2", CRITICAL),
    advisory("PYSEC-5", "fastapi", "9999", CRITICAL, withdrawn="2026-01-03T00:00:00Z"),
)


@pytest.fixture(scope="module")
def scanned(installed: Stack) -> Stack:
    """The lab with the images and a file of advisories."""
    text = "\n".join(map(json.dumps, render_database(*RECORDS)))
    installed.lab.run(["tee", ADVISORIES], stdin=text)
    return installed


@pytest.fixture(scope="module")
def doctored(scanned: Stack) -> Iterator[Stack]:
    """The lab with an image of the backend whose last layer has brought old packages in."""
    files = {
        f"{SITE}/{name}-{version}.dist-info/METADATA": f"Name: {name}\nVersion: {version}\n"
        for name, version in OLD_PYTHON.items()
    }
    status = scanned.in_container("print(open('/var/lib/dpkg/status').read())")
    name, version = OLD_DEBIAN
    old = re.sub(rf"(?ms)(^Package: {name}$.*?^Version: ).*?$", rf"\g<1>{version}", status, count=1)
    assert old != status
    files["var/lib/dpkg/status"] = f"{old}\n"
    containerfile = "FROM localhost/todo-backend:latest\nCOPY root/ /\n"
    for path, content in files.items():
        scanned.lab.run(["mkdir", "-p", f"doctor/root/{path.rpartition('/')[0]}"])
        scanned.lab.run(["tee", f"doctor/root/{path}"], stdin=content)
    scanned.lab.run(["tee", "doctor/Containerfile"], stdin=containerfile)
    scanned.podman("build", "--quiet", f"--tag={DOCTORED}", "doctor")
    yield scanned
    scanned.podman("rmi", DOCTORED)


def report(done: Completed) -> dict[str, Any]:
    """The document that a scan printed, which agrees with its exit code."""
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    assert document["exit_code"] == done.returncode, done.stderr
    return document


def scan(stack: Stack, *words: str, build: Sequence[str] = BUILD) -> dict[str, Any]:
    argv = [*build, "scan", "--no-lab", "--json", *words]
    return report(stack.lab.run(argv, check=False, timeout_s=600))


def without_network(stack: Stack, *words: str) -> Completed:
    """`build.py` as the lab's user, in a network that has nothing but its own loopback."""
    variables = stack.lab.run(["env", "--null"]).stdout.strip("\0").split("\0")
    return stack.lab.run(
        [
            "unshare",
            "--net",
            "--",
            "setpriv",
            f"--reuid={lab_rootfs.USER}",
            f"--regid={lab_rootfs.USER}",
            "--init-groups",
            "--",
            "env",
            "--ignore-environment",
            f"--chdir=/home/{lab_rootfs.USER}",
            *variables,
            *BUILD,
            *words,
        ],
        user="root",
        check=False,
        timeout_s=600,
    )


def found(document: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {one["package"]: one for one in document["findings"] if one["kind"] == kind}


def test_the_images_have_no_known_flaw(scanned: Stack) -> None:
    """The gate: what is built here is what a user would run.

    When this finds a pending fix, the images are older than it: build them again with
    `build.py image --target all --no-cache`.
    """
    document = scan(scanned, "--target=all", f"--advisories={ADVISORIES}")
    assert document["findings"] == []
    assert document["accepted"] == []
    claim = r"No pending Debian fix as of [\d-]{10} and no known Python advisory as of 2026-01-02\."
    assert re.fullmatch(claim, document["claim"])
    counts = {image["name"]: image["counts"] for image in document["images"]}
    assert counts["backend"]["Debian packages"] > 20
    assert counts["backend"]["Python distributions"] > 20
    assert counts["db"]["Debian packages"] > 20
    assert document["cannot_see"]


def test_each_old_package_of_a_doctored_image_is_found_with_its_grade(doctored: Stack) -> None:
    document = scan(doctored, f"--image={DOCTORED}", f"--advisories={ADVISORIES}")
    python = found(document, "python")
    assert {name: one["version"] for name, one in python.items()} == OLD_PYTHON
    assert {name: one["severity"] for name, one in python.items()} == {
        "jinja2": "critical",
        "urllib3": "high",
        "requests": "medium",
    }
    name, version = OLD_DEBIAN
    (debian,) = found(document, "debian").values()
    assert (debian["package"], debian["version"]) == (name, version)
    assert debian["what"].startswith("pending ")
    # The real image is up to date, so what it has is what fixes the old one.
    status = doctored.in_container("print(open('/var/lib/dpkg/status').read())")
    now = re.findall(rf"(?ms)^Package: {name}$.*?^Version: (.*?)$", status)
    assert now == debian["fixed"]
    contradicted = {one["package"] for one in document["findings"] if one["id"] == "sbom-lacks"}
    assert contradicted == {name, *OLD_PYTHON}
    assert document["exit_code"] == 14


def test_an_exception_covers_one_flaw_until_it_ends(doctored: Stack) -> None:
    entries = """
        [[scan]]
        id = "CVE-1"
        package = "jinja2"
        reason = "no template comes from outside"
        expires = 2999-12-31
        [[scan]]
        id = "PYSEC-2"
        package = "urllib3"
        reason = "soon to be replaced"
        expires = 2026-01-01
    """
    with doctored.copy_of_checkout() as folder:
        doctored.lab.run(["tee", f"{folder}/exceptions.toml"], stdin=entries)
        copy = ("python3", f"{folder}/build.py")
        words = ("--offline", f"--image={DOCTORED}", f"--advisories={ADVISORIES}")
        document = scan(doctored, *words, build=copy)
    (accepted,) = document["accepted"]
    assert (accepted["package"], accepted["expires"]) == ("jinja2", "2999-12-31")
    assert found(document, "python").keys() == {"urllib3", "requests"}
    assert found(document, "exception")["urllib3"]["what"] == "the exception expired on 2026-01-01"
    assert document["exit_code"] == 13


def test_without_a_network_it_says_what_it_could_not_do_and_fails(scanned: Stack) -> None:
    document = report(without_network(scanned, "scan", "--no-lab", "--json", "--target=all"))
    assert document["exit_code"] == 69
    problems = {source["name"]: source["problem"] for source in document["sources"]}
    assert problems.keys() == {"Debian index", "Python advisories"}
    assert all("could not reach the network" in problem for problem in problems.values())
    assert "could not check Debian index and Python advisories" in document["claim"]
    (hint,) = [one["hint"] for one in document["sources"] if one["name"] == "Python advisories"]
    assert "--advisories FILE" in hint


def test_without_a_network_it_passes_when_told_and_says_what_it_left_out(scanned: Stack) -> None:
    words = ("scan", "--no-lab", "--json", "--target=all", "--offline")
    bare = report(without_network(scanned, *words))
    assert bare["exit_code"] == 0
    assert bare["claim"].endswith("Skipped: Debian index, Python advisories.")
    with_file = report(without_network(scanned, *words, f"--advisories={ADVISORIES}"))
    assert with_file["exit_code"] == 0
    expected = "No known Python advisory as of 2026-01-02. Skipped: Debian index."
    assert with_file["claim"] == expected


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("{}", 65, "cannot read advisories.bad"),
        (None, 2, "advisories.bad does not exist"),
    ],
)
def test_a_file_without_advisories_is_refused_in_one_line(
    scanned: Stack, content: str | None, code: int, message: str
) -> None:
    scanned.lab.run(["rm", "-f", "advisories.bad"])
    if content is not None:
        scanned.lab.run(["tee", "advisories.bad"], stdin=content)
    words = ("scan", "--no-lab", "--json", "--offline", "--advisories=advisories.bad")
    done = scanned.build(*words, check=False)
    assert done.returncode == code
    assert done.stdout == ""
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_file_cut_short_is_no_check(scanned: Stack) -> None:
    scanned.lab.run(["tee", "part.jsonl"], stdin="\n".join(map(json.dumps, RECORDS)))
    document = scan(scanned, "--offline", "--advisories=part.jsonl")
    assert document["exit_code"] == 69
    (python,) = [one for one in document["sources"] if one["name"] == "Python advisories"]
    problem = "part.jsonl is not the complete database of Python advisories"
    assert python["problem"].startswith(problem)
    assert "could not check Python advisories" in document["claim"]


@contextlib.contextmanager
def cut_off(stack: Stack) -> Iterator[None]:
    """The whole lab without a way out: what goes there is swallowed without an answer."""
    chain = "add chain inet cut out { type filter hook output priority 0; }"
    rules = ("oif lo accept", "udp dport 53 accept", "drop")
    commands = ["add table inet cut", chain, *(f"add rule inet cut out {rule}" for rule in rules)]
    stack.lab.run(["nft", "; ".join(commands)], user="root")
    try:
        yield
    finally:
        stack.lab.run(["nft", "delete table inet cut"], user="root")


def test_up_warns_in_one_line_once_a_day_and_waits_for_no_dead_network(scanned: Stack) -> None:
    scan(scanned, "--target=db", f"--advisories={ADVISORIES}")  # so that the builder is there
    scanned.lab.run(["rm", "-f", ".local/state/todo-backend/scanned.json"])
    warnings = []
    with cut_off(scanned):
        for _ in range(2):
            started = CLOCK.now()
            told = scanned.up().stderr.splitlines()
            # Was 20. Beside two other labs it took 32; how long apt would wait was not measured.
            assert CLOCK.now() - started < 90
            warnings.append([line for line in told if line.startswith("Warning")])
    (line,), later = warnings
    assert "Debian index: apt could not reach the network" in line
    assert later == []
