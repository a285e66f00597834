from pathlib import Path

import pytest

from todo.config.settings import Settings, load_settings
from todo.core.exit import ExitCode, FatalError


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without options, outside of any container."""
    for name in ("container", "KUBERNETES_SERVICE_HOST", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("TODO_BIND", "8000", "HOST:PORT"),
        ("TODO_BIND", "localhost:0", "HOST:PORT"),
        ("TODO_BIND", "::1:8000", "HOST:PORT"),
        ("TODO_BIND", "unix:relative", "unix:/absolute/path"),
        ("TODO_PROBE_BIND", "127.0.0.1:1", "must be unix:/path"),
        ("TODO_MANAGEMENT_BIND", "127.0.0.1:8000", "must differ"),
        ("TODO_DATABASE_URL", "mysql://x/y", "must start with postgresql+psycopg://"),
        ("TODO_DATABASE_URL", "postgresql//u:sesame@h/d", "is not a valid database URL"),
        ("TODO_DATABASE_URL", "sqlite://", "must name a file"),
        ("TODO_DATABASE_POOL_SIZE", "many", "must be an integer"),
        ("TODO_DATABASE_CONNECT_TIMEOUT_S", "1", "must be at least 2"),
        ("TODO_DATABASE_MIGRATE", "always", 'one of "never", "startup"'),
        ("TODO_TRUSTED_PROXIES", "10.0.0.1/8", "has host bits set"),
        ("TODO_FORWARDED_HEADER", "via", 'one of "x-forwarded-for", "forwarded", "none"'),
        ("TODO_RATE_LIMIT_IPV6_PREFIX", "129", "must be at most 128"),
        ("TODO_LOG_LEVEL", "loud", 'one of "DEBUG", "INFO"'),
        ("TODO_JWKS_URL", "http://auth.example/jwks", "must start with https://"),
        ("TODO_JWKS_URL", "http://10.0.0.1/jwks", "must start with https://"),
        ("TODO_JWKS_URL", "ftp://localhost/jwks", "must start with https://"),
        ("TODO_JWKS_URL", "https://u:sesame@auth.example/jwks", "must be a URL"),
        ("TODO_JWKS_URL", "https://auth.example:99999/", "must be a URL"),
        ("TODO_JWKS_URL", "https://auth.example/a b", "must be a URL"),
        ("TODO_CORS_ORIGINS", "*", "must be origins"),
        ("TODO_CORS_ORIGINS", "https://todo.example/path", "must be origins"),
        ("TODO_CORS_ORIGINS", "https://todo.example,null", "must be origins"),
        ("TODO_RATE_LIMIT_PER_MINUTE", "-1", "must be at least 0"),
        ("TODO_REQUEST_DEADLINE_S", "0", "must be greater than 0"),
        ("TODO_SHUTDOWN_DEADLINE_S", "nan", "TODO_SHUTDOWN_DEADLINE_S"),
        ("TODO_AI_URL", "http://10.0.0.1/v1", "must start with https://"),
        ("TODO_AI_URL", "https://u:sesame@model.example/v1", "such as https://model.example/v1"),
        ("TODO_AI_URL", "https://model.example/v1?key=sesame", "without a query"),
        ("TODO_AI_URL", "unix:model.sock", "unix:/absolute/path"),
        ("TODO_AI_MODE", "magic", 'one of "auto", "tools", "json_schema"'),
        ("TODO_AI_COST_PER_DAY", "-0.1", "must be at least 0"),
        ("TODO_AI_CONCURRENCY", "0", "must be at least 1"),
    ],
)
def test_a_bad_value_names_its_variable_and_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(FatalError) as caught:
        load_settings()

    assert caught.value.code == ExitCode.CONFIGURATION
    assert name in caught.value.message
    assert text in caught.value.message
    assert "sesame" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("TODO_LOG_LEVLE", "TODO_LOG_LEVEL"),
        ("todo_bnd", "TODO_BIND"),
        ("TODO_DATABASE_POOLSIZE", "TODO_DATABASE_POOL_SIZE"),
    ],
)
def test_an_unknown_option_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    monkeypatch.setenv(name, "x")

    with pytest.raises(FatalError, match=f"did you mean {near}"):
        load_settings()


def test_the_links_of_kubernetes_services_are_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("TODO_DATABASE_URL", "postgresql://todo@db/todo")
    for name, value in {
        "TODO_BACKEND_SERVICE_HOST": "10.0.0.9",
        "TODO_BACKEND_SERVICE_PORT_HTTP": "8000",
        "TODO_BACKEND_PORT": "tcp://10.0.0.9:8000",
        "TODO_BACKEND_PORT_8000_TCP_ADDR": "10.0.0.9",
    }.items():
        monkeypatch.setenv(name, value)

    assert load_settings().url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize("marker", ["container", "KUBERNETES_SERVICE_HOST"])
def test_a_container_needs_a_database_address(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    monkeypatch.setenv(marker, "x")

    with pytest.raises(FatalError, match="TODO_DATABASE_URL is missing") as caught:
        load_settings()

    assert caught.value.code == ExitCode.CONFIGURATION


def test_a_container_has_fixed_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("container", "podman")
    monkeypatch.setenv("TODO_DATABASE_URL", "postgresql+psycopg://todo@/todo?host=/run/todo")

    settings = load_settings()

    assert settings.probe_bind == "unix:/tmp/probe.sock"
    assert settings.token_secret_file == Path("/run/secrets/todo-token-secret")
    assert settings.database_migrate == "never"


def test_a_host_has_an_embedded_database(tmp_path: Path) -> None:
    settings = load_settings()

    assert settings.url.database == str(tmp_path / "todo-backend" / "todo.db")
    assert settings.database_migrate == "startup"
    assert settings.token_secret_file == tmp_path / "todo-backend" / "token-secret"
    assert settings.probe_bind == f"unix:{tmp_path}/todo-backend/probe.sock"


def test_what_is_given_wins_over_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TODO_DATABASE_MIGRATE", "never")
    monkeypatch.setenv("TODO_PROBE_BIND", f"unix:{tmp_path}/x")
    monkeypatch.setenv("TODO_TRUSTED_PROXIES", "10.0.0.0/8, unix")
    monkeypatch.setenv("TODO_FORWARDED_HEADER", "Forwarded")
    monkeypatch.setenv("TODO_LOG_LEVEL", "")

    settings = load_settings()

    assert settings.database_migrate == "never"
    assert settings.probe_bind == f"unix:{tmp_path}/x"
    assert settings.trusted_proxies == ("10.0.0.0/8", "unix")
    assert settings.forwarded_header == "forwarded"
    assert settings.log_level == "INFO"


def test_the_password_is_in_no_representation() -> None:
    settings = Settings(database_url="postgresql://u:sesame@h/d")

    assert "sesame" not in repr(settings)
    assert settings.url.password == "sesame"  # noqa: S105


@pytest.mark.parametrize(
    "url", ["https://auth.example/api/auth/jwks", "http://127.0.0.1:3000/", "http://[::1]/jwks"]
)
def test_a_key_set_comes_over_tls_or_from_this_machine(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("TODO_JWKS_URL", url)

    assert load_settings().jwks_url == url


def test_there_is_one_key_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TODO_JWKS_URL", "https://auth.example/jwks")
    monkeypatch.setenv("TODO_JWKS_FILE", "/run/secrets/jwks")

    with pytest.raises(
        FatalError, match="TODO_JWKS_URL and TODO_JWKS_FILE are mutually exclusive; unset one"
    ):
        load_settings()


def test_origins_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TODO_CORS_ORIGINS", "https://todo.example/, http://localhost:3000")

    assert load_settings().cors_origins == ("https://todo.example", "http://localhost:3000")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://model.example/v1/", "https://model.example/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("unix:/run/todo-ai/model.sock", "unix:/run/todo-ai/model.sock"),
    ],
)
def test_a_model_server_is_an_address_or_a_socket(given: str, address: str) -> None:
    assert Settings(ai_url=given).ai_url == address
