import pytest

from deploy.bootstrap import commands
from deploy.errors import DeployError, ExitCode


@pytest.mark.parametrize(
    ("arguments", "environ", "lock"),
    [
        ([], {}, "build"),
        (["up"], {}, "build"),
        (["lab", "run", "dev"], {}, "build"),
        (["lint"], {}, "dev"),
        (["format"], {}, "dev"),
        (["dev"], {}, "serve"),
        (["--verbose", "dev", "--port", "8080"], {}, "serve"),
        (["dev"], {"TODO_DATABASE_URL": "sqlite+aiosqlite:////tmp/x.db"}, "serve"),
        (["dev"], {"TODO_DATABASE_URL": "postgresql+psycopg:///todo"}, "dev"),
        (["dev"], {"TODO_JWKS_FILE": "/keys.json"}, "dev"),
        (["dev"], {"TODO_JWKS_FILE": ""}, "serve"),
        (["dev"], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "dev"),
    ],
)
def test_a_command_starts_in_the_environment_that_it_needs(
    arguments: list[str], environ: dict[str, str], lock: str
) -> None:
    assert commands.find_environment(arguments, environ) == lock


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["up"], True),
        (["--verbose", "test", "unit"], True),
        (["sign", "--generate-key", "key"], False),
        (["sign", "--generate-key", "key", "--yes"], True),
        (["lab", "run", "--", "apt-get", "install", "--yes", "x"], False),
        ([], False),
        (["up", "--help"], False),
        (["--yes", "-h"], False),
        (["test", "--version"], False),
        (["test", "unit", "--", "-v"], True),
    ],
)
def test_packages_are_installed_only_when_asked_for(words: list[str], *, expected: bool) -> None:
    assert commands.may_install(words) is expected


def test_no_words_mean_the_tiers_of_every_change_in_order() -> None:
    assert commands.split_tiers([]) == (("unit", "integration", "system"), ())


def test_the_fault_suite_runs_only_by_its_name() -> None:
    words = ["faults", "--table=faults.md"]
    assert commands.split_tiers(words) == (("faults",), ("--table=faults.md",))


def test_tiers_run_in_their_order_whatever_the_order_of_words() -> None:
    assert commands.split_tiers(["system", "unit"]) == (("unit", "system"), ())


def test_what_begins_with_an_option_goes_to_pytest() -> None:
    assert commands.split_tiers(["unit", "-k", "lab"]) == (("unit",), ("-k", "lab"))


def test_options_alone_apply_to_every_tier() -> None:
    assert commands.split_tiers(["-x", "-k", "unit"]) == (commands.TIERS, ("-x", "-k", "unit"))


def test_a_path_without_a_tier_is_run_as_it_is() -> None:
    assert commands.split_tiers(["tests/unit/deploy", "-x"]) == ((), ("tests/unit/deploy", "-x"))


def test_a_misspelt_tier_is_a_usage_error() -> None:
    with pytest.raises(DeployError, match="unknown test tier unti") as caught:
        commands.split_tiers(["unti"])
    assert caught.value.code == ExitCode.USAGE
    assert "unit, integration, system, faults" in caught.value.hint
