"""PostgreSQL's major version: a stack keeps its own, and the drop-ins that say so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.paths import REPO
from deploy.stack import definition, install, postgresql, up
from deploy.stack.postgresql import CONTAINER, HOLD, Request
from deploy.stage.packages import DATABASES
from deploy.units.parser import parse_unit

if TYPE_CHECKING:
    from pathlib import Path

DROPIN = "todo-db.container.d/30-postgresql-18.conf"
NAMED = "Environment=DB_MAJOR=17\n"


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user for whom nothing is installed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))


def install_with(request: Request = postgresql.UNCHANGED) -> set[str]:
    return install.install({**install.shipped(), **postgresql.find_units(request)})


def test_every_version_has_its_packages_and_nothing_else_names_one() -> None:
    assert set(postgresql.find_known()) == set(DATABASES)
    files = [REPO / "Containerfile", *(REPO / "containers/db").iterdir()]
    files += [*(REPO / "quadlet").glob("*.*"), *(REPO / "src/deploy/stage").glob("*.py")]
    named = re.compile(r"postgresql[-/]\d|\bmajor=\d|MAJOR=\d")
    found = {
        (path.name, match)
        for path in files
        for match in named.findall(path.read_text())
        if path.name != "packages.py"
    }
    assert found == {("Containerfile", "MAJOR=1"), ("todo-db.container", "MAJOR=1")}


def test_a_new_stack_has_the_version_of_the_checkout() -> None:
    assert postgresql.find_installed() == postgresql.find_shipped() == "17"
    install_with()
    assert postgresql.find_installed() == "17"
    assert install.installed_text(DROPIN) is None


def test_an_upgraded_stack_keeps_its_version() -> None:
    install_with(Request("18"))
    assert postgresql.find_installed() == "18"
    assert install_with() == set()
    arguments = postgresql.find_arguments()
    assert (arguments["DB_MAJOR"], arguments["DB_SUITE"]) == ("18", "testing")
    install_with(Request("17"))
    assert install.installed_text(DROPIN) is None
    assert postgresql.find_arguments()["DB_MAJOR"] == "17"


@pytest.mark.parametrize("unit", [NAMED, ""])
def test_a_stack_keeps_its_version_when_the_checkout_has_a_newer_one(
    monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    monkeypatch.setattr(postgresql, "find_shipped", lambda: "18")
    text = install.shipped()[CONTAINER].replace(NAMED, unit)
    install.install({**install.shipped(), CONTAINER: text})
    assert postgresql.find_installed() == "17"
    with pytest.raises(DeployError) as caught:
        postgresql.find_units()
    assert "runs PostgreSQL 17, which this checkout does not support" in caught.value.message
    assert caught.value.code == ExitCode.CONFIG


def test_what_is_held_stays_until_it_is_released() -> None:
    hold = postgresql.render_hold("17", "localhost/todo-db:17", "todo-data")
    install_with(Request("18", hold))
    assert postgresql.is_held()
    assert install_with() == set()
    assert postgresql.is_held()
    install_with(Request(hold=""))
    assert not postgresql.is_held()
    assert postgresql.find_installed() == "18"


def test_what_is_held_is_written_first() -> None:
    assert next(iter(postgresql.find_units(Request("18", "x")))) == HOLD


def test_the_held_unit_has_the_former_image_and_volume_and_all_else() -> None:
    shipped = install.shipped()[CONTAINER]
    hold = postgresql.render_hold("17", "localhost/todo-db:17", "todo-data-1")
    unit = parse_unit(CONTAINER, shipped)
    held = parse_unit(CONTAINER, f"{shipped}\n{hold}")
    assert held.get("Container", "Image").value == "localhost/todo-db:17"
    before = [each.value for each in unit.find_all("Container", "Volume")]
    after = [each.value for each in held.find_all("Container", "Volume")]
    assert after == [each.replace("todo-data.volume", "todo-data-1") for each in before]
    assert f"{NAMED}" in hold


def test_another_version_makes_only_the_image_of_the_database_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = {}

    def ensure(target: str, arguments: dict[str, str], _options: object) -> build.Image:
        built[target] = arguments["DB_MAJOR"]
        return build.Image(target, "", "", 0, "")

    monkeypatch.setattr(build, "ensure", ensure)
    monkeypatch.setattr("deploy.host.packages.ensure_stack_packages", lambda **_: None)
    install_with(Request("18"))
    up.build(build.Options())
    assert built == {"backend": "17", "db": "18"}


def write_dropin(name: str, text: str) -> None:
    path = install.destination(f"{CONTAINER}.d/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[Container]\n{text}")


def test_what_is_held_keeps_the_mounts_of_the_users_drop_ins() -> None:
    write_dropin("60-mine.conf", "Volume=/srv/words:/usr/share/words:ro\n")
    # This one counts by itself, behind what is held.
    write_dropin("99-mine.conf", "Volume=/srv/late:/late:ro\n")
    install_with()
    hold = postgresql.render_hold("17", "localhost/todo-db:17", "todo-data-1")
    # Again, while it is installed, as a return does.
    install_with(Request("18", hold))
    assert postgresql.render_hold("17", "localhost/todo-db:17", "todo-data-1") == hold
    held = [each.value for each in definition.load(CONTAINER).find_all("Container", "Volume")]
    assert held == [
        "todo-data-1:/var/lib/postgresql:U",
        "todo-socket.volume:/run/todo:U",
        "/srv/words:/usr/share/words:ro",
        "/srv/late:/late:ro",
    ]


def test_what_is_held_keeps_options_that_the_user_gave_the_data_volume() -> None:
    write_dropin("60-mine.conf", "Volume=\nVolume=todo-data:/var/lib/postgresql:U,noatime\n")
    hold = postgresql.render_hold("17", "localhost/todo-db:17", "todo-data-1")
    assert hold.endswith("\nVolume=\nVolume=todo-data-1:/var/lib/postgresql:U,noatime\n")


def test_a_database_outside_of_the_volume_is_refused() -> None:
    install_with()
    postgresql.refuse_elsewhere()
    write_dropin("60-mine.conf", "Volume=\nVolume=/srv/db:/var/lib/postgresql:U\n")
    with pytest.raises(DeployError, match=r"60-mine.conf:3: the database is in /srv/db") as caught:
        postgresql.refuse_elsewhere()
    assert caught.value.code == ExitCode.CONFIG


@pytest.mark.parametrize(
    ("stack", "data", "hint"),
    [
        ("17", "18", "python3 build.py up, then python3 build.py upgrade-db, then the same"),
        ("18", "17", "python3 build.py upgrade-db --back, then the same command"),
        ("17", "16", "use a checkout that supports this version"),
    ],
)
def test_data_of_another_version_is_refused_with_the_way_to_it(
    stack: str, data: str, hint: str
) -> None:
    install_with(Request(stack))
    postgresql.refuse_other("the volume todo-data-1", stack)
    with pytest.raises(DeployError) as caught:
        postgresql.refuse_other("the volume todo-data-1", data)
    assert caught.value.message == (
        f"the volume todo-data-1 is of PostgreSQL {data}, and this stack runs PostgreSQL {stack}"
    )
    assert caught.value.hint.startswith(hint)
    assert caught.value.code == ExitCode.CONFIG


def test_a_fresh_machine_says_how_to_get_to_a_newer_version() -> None:
    with pytest.raises(DeployError, match="is of PostgreSQL 18") as caught:
        postgresql.refuse_other("the base backup", "18")
    assert "upgrade-db" in caught.value.hint
