import datetime as dt
from pathlib import Path

import pytest

from deploy import waivers
from deploy.errors import DeployError, ExitCode
from deploy.waivers import AuditException, ScanException

SCAN = """\
[[scan]]
id = "CVE-2026-1"
package = "alpha"
reason = "The function is never called."
expires = 2026-12-31
"""
AUDIT = """\
[[audit]]
tool = "checkov"
rule = "CKV_1"
where = "kube/todo.yaml"
reason = "The volume is needed."
expires = 2027-01-31
"""
LAST_DAY = dt.date(2026, 12, 31)
ALPHA = ScanException("CVE-2026-1", "alpha", "The function is never called.", LAST_DAY)


def test_entries_of_both_kinds_are_read() -> None:
    read = waivers.parse(SCAN + AUDIT)
    assert read.scan == (ALPHA,)
    assert read.audit == (
        AuditException(
            "checkov",
            "CKV_1",
            "kube/todo.yaml",
            "The volume is needed.",
            dt.date(2027, 1, 31),
        ),
    )


def test_the_projects_own_file_can_be_read() -> None:
    assert isinstance(waivers.load(), waivers.Exceptions)


def test_a_missing_file_holds_nothing(tmp_path: Path) -> None:
    assert waivers.load(tmp_path / "none.toml") == waivers.Exceptions()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SCAN.replace('reason = "The function is never called."\n', ""), 'requires reason = "…"'),
        (SCAN.replace("The function is never called.", " "), 'requires reason = "…"'),
        (SCAN.replace("2026-12-31", '"2026-12-31"'), "requires a date without quotes"),
        (SCAN.replace("2026-12-31", "2026-12-31T00:00:00"), "requires a date without quotes"),
        (SCAN.replace("reason", "resaon"), "has an unknown key resaon"),
        (SCAN + SCAN, "occurs twice"),
    ],
)
def test_a_malformed_entry_is_named(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "exceptions.toml"
    file.write_text(text)
    with pytest.raises(DeployError) as caught:
        waivers.load(file)
    assert caught.value.code is ExitCode.DATA
    assert caught.value.message.startswith("exceptions.toml: [[scan]] entry ")
    assert "CVE-2026-1" in caught.value.message
    assert problem in caught.value.message


@pytest.mark.parametrize("text", ["[[skan]]\n", "scan = 1\n", "scan = [1]\n", "[[scan]\n"])
def test_what_is_no_such_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "exceptions.toml"
    file.write_text(text)
    with pytest.raises(DeployError, match=r"exceptions\.toml: "):
        waivers.load(file)


def test_an_entry_counts_up_to_its_last_day() -> None:
    assert waivers.in_force([ALPHA], LAST_DAY) == [ALPHA]
    assert waivers.in_force([ALPHA], LAST_DAY + dt.timedelta(days=1)) == []


def test_expired_and_unused_entries_are_problems() -> None:
    after = LAST_DAY + dt.timedelta(days=1)
    assert waivers.find_problems([ALPHA], {ALPHA}, LAST_DAY) == []
    assert waivers.find_problems([ALPHA], set(), LAST_DAY) == [
        (ALPHA, "no longer matches anything")
    ]
    assert waivers.find_problems([ALPHA], {ALPHA}, after) == [(ALPHA, "expired on 2026-12-31")]
