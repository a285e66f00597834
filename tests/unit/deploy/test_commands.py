import pytest

from deploy import commands


@pytest.mark.parametrize(
    ("arguments", "environ", "lock"),
    [
        ([], {}, "build"),
        (["up"], {}, "build"),
        (["lab", "run", "dev"], {}, "build"),
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
    ],
)
def test_packages_are_installed_only_when_asked_for(words: list[str], *, expected: bool) -> None:
    assert commands.may_install(words) is expected
