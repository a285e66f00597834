import itertools
import json
from pathlib import Path

import pytest

from deploy.cli.main import Build
from deploy.dev import suite, suite_programs
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO

FETCHED = ("pgbouncer", "nginx", "caddy")
TABLES = {"shell": suite_programs.SHELLS, "monitoring": tuple(suite_programs.MONITORING)}
NPM_LOCKS = {"openapi": "api/openapi", "mcp": "mcp/npm", "web": "web/npm"}
OTHERS = ("curl", "node", "npm", *(f"{name}_tools" for name in NPM_LOCKS))


@pytest.mark.parametrize(
    ("tiers", "processors", "processes"),
    [
        (("unit",), 2, 2),
        (("unit", "integration"), 2, 2),
        (("unit", "integration", "system"), 2, 3),
        (("unit", "integration", "system"), 64, 4),
        (("integration",), 1, 0),
        (("system",), 2, 0),
        (("faults",), 2, 0),
        ((), 2, 0),
    ],
)
def test_a_run_is_spread_over_the_processors(
    monkeypatch: pytest.MonkeyPatch, tiers: tuple[str, ...], processors: int, processes: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(processors)))

    said = suite.render_argv(tiers, [])

    assert [said[at + 1] for at, word in enumerate(said) if word == "--numprocesses"] == (
        [str(processes)] if processes else []
    )


def test_the_tier_that_takes_longest_starts_first() -> None:
    said = suite.render_argv(("unit", "integration", "system"), ["-x"])

    assert [Path(word).name for word in said[-4:]] == ["system", "integration", "unit", "-x"]


@pytest.mark.parametrize(
    ("tiers", "arguments", "floor"),
    [
        (("unit", "integration"), [], True),
        (("unit", "integration", "system"), [], True),
        (("unit", "integration"), ["-k", "lab"], False),
        (("unit",), [], False),
        ((), ["tests/unit/deploy"], False),
    ],
)
def test_the_floor_of_coverage_is_that_of_both_whole_tiers(
    tiers: tuple[str, ...], arguments: list[str], *, floor: bool
) -> None:
    measured = suite.render_argv(tiers, arguments, coverage=True)

    assert "--cov" in measured
    assert ("--cov-fail-under=0" in measured) is not floor
    assert "--cov" not in suite.render_argv(tiers, arguments)


@pytest.mark.parametrize("tier", ["system", "faults"])
def test_a_tier_in_a_lab_is_refused_without_root_and_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tier: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(DeployError, match="requires root") as caught:
        suite.choose([tier])
    assert "sudo" in caught.value.hint
    assert caught.value.code == ExitCode.CONFIG


@pytest.mark.parametrize(("capabilities", "may"), [("000001ffffffffff", True), ("a80425fb", False)])
def test_the_system_tier_takes_a_root_that_may_make_mounts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capabilities: str, *, may: bool
) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython3\nCapPrm:\t{0:016x}\nCapEff:\t{capabilities}\n")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(suite, "_STATUS", status)
    obstacle = suite.find_obstacle()
    assert (obstacle is None) == may
    assert may or "CAP_SYS_ADMIN" in str(obstacle)


def test_the_tiers_that_can_run_do_and_the_other_is_reported_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []

    def run(argv: list[str]) -> int:
        ran.extend(Path(word).name for word in argv if not word.startswith("-"))
        return 0

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(suite_programs, "ensure_programs", lambda: None)
    monkeypatch.setattr("deploy.bootstrap.venv.ensure", lambda _purpose: None)
    monkeypatch.setattr(pytest, "main", run)
    with pytest.raises(DeployError, match="the system tests did not run"):
        suite.run_tiers([])
    assert {"unit", "integration"} <= set(ran)
    assert "system" not in ran


@pytest.mark.parametrize("word", ["unti", "system"])
def test_what_cannot_run_is_refused_before_its_environment_is_made(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("deploy.bootstrap.venv.enter", lambda _purpose: pytest.fail("made it"))
    with pytest.raises(DeployError):
        Build.start(["build.py", "test", word])


def test_debian_makes_no_server_of_its_own_when_postgresql_is_installed_for_the_tests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "createcluster.d"
    seen = []

    def install(names: list[str], *, assume_yes: bool) -> None:
        seen.append((names, assume_yes, [file.read_text() for file in folder.iterdir()]))

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(suite_programs, "find_initdb", lambda: None)
    monkeypatch.setattr(suite_programs, "find_browser", lambda: Path("chromium"))
    for name in (*OTHERS, *FETCHED):
        monkeypatch.setattr(suite_programs, f"find_{name}", lambda: Path("there"))
    for name in TABLES:
        monkeypatch.setattr(suite_programs, f"find_{name}", lambda _name: Path("there"))
    monkeypatch.setattr(suite_programs, "_CLUSTER_DEFAULTS", folder)
    monkeypatch.setattr("deploy.host.packages.ensure_packages", install)
    monkeypatch.setattr("deploy.bootstrap.venv.ensure", lambda _purpose: None)
    suite.prepare(["integration"])
    assert seen == [(["postgresql"], True, ["create_main_cluster = false\n"])]
    assert not folder.exists()


@pytest.mark.parametrize("program", [*FETCHED, *itertools.chain(*TABLES.values())])
def test_without_debians_packages_the_way_to_a_program_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("deploy.process.find", lambda _tool: None)
    monkeypatch.setattr(suite_programs, "find_initdb", lambda: Path("initdb"))
    monkeypatch.setattr(suite_programs, "find_browser", lambda: Path("chromium"))
    for name in {*OTHERS, *FETCHED} - {program}:
        monkeypatch.setattr(suite_programs, f"find_{name}", lambda: Path("there"))
    for name in TABLES:
        monkeypatch.setattr(
            suite_programs,
            f"find_{name}",
            lambda wanted: None if wanted == program else Path("there"),
        )
    with pytest.raises(DeployError, match=program) as caught:
        suite_programs.ensure_programs()
    assert caught.value.code == ExitCode.UNAVAILABLE
    assert "PATH" in caught.value.hint


@pytest.mark.parametrize("tools", NPM_LOCKS)
def test_programs_of_npm_are_fetched_by_their_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tools: str
) -> None:
    ran: list[tuple[str, ...]] = []

    def stream(argv: list[str], *_: object, cwd: Path, **__: object) -> None:
        ran.append(tuple(argv))
        (cwd / "node_modules").mkdir()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("deploy.process.stream", stream)
    monkeypatch.setattr(suite_programs, "find_initdb", lambda: Path("initdb"))
    monkeypatch.setattr(suite_programs, "find_browser", lambda: Path("chromium"))
    for name in {*OTHERS, *FETCHED} - {f"{tools}_tools"}:
        monkeypatch.setattr(suite_programs, f"find_{name}", lambda: Path("there"))

    for _ in range(2):
        suite_programs.ensure_programs()

    assert [argv[:3] for argv in ran] == [("npm", "ci", "--ignore-scripts")]
    folder = getattr(suite_programs, f"find_{tools}_tools")()
    assert {"node_modules", "package-lock.json"} <= {each.name for each in folder.iterdir()}


@pytest.mark.parametrize("path", NPM_LOCKS.values())
def test_the_lock_of_those_programs_has_hashes_and_no_address(path: str) -> None:
    folder = REPO / "tests" / "integration" / path
    text = (folder / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]

    # After `npm install --package-lock-only --omit-lockfile-registry-resolved` there:
    # jq --indent 1 'del(.packages[] | (.funding, .license, .deprecated))' package-lock.json
    assert "://" not in text
    assert all("integrity" in each for name, each in packages.items() if name)
    described = json.loads((folder / "package.json").read_text())
    wanted = described["dependencies"] | described.get("optionalDependencies", {})
    assert packages[""]["dependencies"] == described["dependencies"]
    assert {n: packages[f"node_modules/{n}"]["version"] for n in wanted} == wanted
