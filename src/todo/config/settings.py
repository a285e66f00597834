"""Settings: environment variables, read once and validated before anything else runs."""

import difflib
import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from todo.config.addresses import ForwardedHeader, check_secure, parse_address, parse_origins
from todo.config.assistant_settings import AssistantSettings
from todo.core.exit import ExitCode, FatalError
from todo.core.validation_errors import word_error

PREFIX = "TODO_"
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}

_NEAR = 0.75
"""Minimum similarity to an option for a suggestion of that option; 1 means equal."""

# Kubernetes injects these variables for every Service of the namespace. If a Service's name starts
# with `todo`, they have the prefix of options, but are not misspelled options.
_SERVICE_LINK = re.compile(
    r"TODO(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


def in_container(environ: Mapping[str, str]) -> bool:
    """Return whether the program runs in a container (Podman, systemd-nspawn, Kubernetes)."""
    return bool(
        environ.get("container")
        or environ.get("KUBERNETES_SERVICE_HOST")
        or Path("/run/.containerenv").exists()
    )


def data_directory(environ: Mapping[str, str]) -> Path:
    """Return the folder of the embedded database and its secret."""
    home = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "todo-backend"


class Settings(AssistantSettings, BaseSettings):
    """Options of the backend; each is the environment variable `TODO_` plus its name."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    database_url: str = Field(
        default="",
        repr=False,
        description="URL of the database: `postgresql+psycopg://USER@HOST/NAME` or "
        "`sqlite+aiosqlite:///PATH`. Required in a container. Elsewhere the default is the SQLite "
        "file `todo-backend/todo.db` below `$XDG_DATA_HOME` (`~/.local/share`), migrated at "
        "startup.",
    )
    database_password_file: Path | None = Field(
        default=None,
        description="File with the database password; a trailing newline is ignored.",
    )
    database_migrate: Literal["never", "startup"] = Field(
        default="never",
        description="When to migrate the schema: `startup` migrates in the background when the "
        "backend starts; with `never`, run `python3 -m todo.admin migrate`.",
    )
    database_backend_role: str = Field(
        default="",
        description="Database role of the backend, if `migrate` runs as another role. The "
        "migrating role then owns the schema and grants this role the privileges that it needs. "
        "The shipped stack sets this option. If it is unset or names the migrating role, one role "
        "does both.",
    )
    database_pool_size: int = Field(
        default=10, ge=1, le=200, description="Maximum number of pooled database connections."
    )
    database_pool_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Maximum seconds that a request waits for a pooled connection before the "
        "response is 503.",
    )
    database_connect_timeout_s: int = Field(
        default=2,
        ge=2,
        le=60,
        description="Timeout in seconds for connecting to the database (at least 2).",
    )
    database_statement_timeout_s: float = Field(
        default=5.0, gt=0, le=600, description="Timeout in seconds of an SQL statement."
    )
    database_pgbouncer: bool = Field(
        default=False,
        description="`true` behind PgBouncer in transaction mode: no prepared statements and no "
        "session parameters; set the timeouts with `ALTER ROLE` instead.",
    )
    database_breaker_failures: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Consecutive connection failures that open the circuit breaker, after which "
        "requests fail with 503 immediately.",
    )
    database_breaker_reset_s: float = Field(
        default=2.0,
        gt=0,
        le=600,
        description="Seconds until an open circuit breaker lets one request try the database "
        "again.",
    )
    token_secret_file: Path = Field(
        default=Path("/run/secrets/todo-token-secret"),
        description="File with the HS256 secret of the bearer tokens, at least 32 bytes. Outside "
        "a container the default is `token-secret` in the folder of the SQLite file, created on "
        "first use. Optional if a key set is configured.",
    )
    token_previous_secret_file: Path | None = Field(
        default=None,
        description="File with the previous secret, for rotation: tokens signed with it are "
        "accepted while this option is set.",
    )
    jwks_url: str | None = Field(
        default=None,
        description="URL of another issuer's key set (JWKS), `https://` or, on this machine, "
        "`http://`. Its tokens, signed with EdDSA, ES256 or RS256, are accepted as well.",
    )
    jwks_file: Path | None = Field(
        default=None,
        description="File with the key set (JWKS), for a backend without network access; instead "
        "of a URL. It is read once a minute.",
    )
    jwks_refetch_s: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="Minimum seconds between fetches of the key set for tokens with an unknown "
        "key, and before a failed fetch is retried.",
    )
    token_audience: str | None = Field(
        default=None,
        description="Required audience (`aud`) of tokens. Without this option, tokens that name "
        "an audience are rejected.",
    )
    token_issuer: str | None = Field(default=None, description="Required issuer (`iss`) of tokens.")
    rate_limit_per_minute: int = Field(
        default=6000,
        ge=0,
        le=10_000_000,
        description="Maximum requests per minute and API token, or per user for JSON Web Tokens; "
        "0 for no limit.",
    )
    rate_limit_address_per_minute: int = Field(
        default=12_000,
        ge=0,
        le=10_000_000,
        description="Maximum requests per minute and client address; a rejected token counts as "
        "ten requests. Local peers that are not in `TODO_TRUSTED_PROXIES` are not limited. 0 for "
        "no limit.",
    )
    rate_limit_ipv6_prefix: int = Field(
        default=64,
        ge=32,
        le=128,
        description="Length of the IPv6 prefix that counts as one client address; 56 or 48 if "
        "clients' providers assign such networks.",
    )
    storage_quota_tasks: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000,
        description="Maximum number of tasks that one account may hold; 0 for no limit.",
    )
    storage_quota_bytes: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000_000,
        description="Maximum size of the tasks and lists that one account may hold, as JSON and "
        "without the journal; 0 for no limit.",
    )
    request_deadline_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Deadline of a request in seconds, from the end of its body to the start of "
        "the response, after which the response is 503.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins allowed by CORS, separated by commas, such as `https://todo.example`.",
    )
    bind: str = Field(
        default="127.0.0.1:8000",
        description="Listen address of the public API: `HOST:PORT`, `[::]:PORT` or `unix:/path`. "
        "Unused if the service manager passes a public socket.",
    )
    management_bind: str = Field(
        default="127.0.0.1:9000",
        description="Listen address of the management API (`/metrics` and health checks). A "
        "passed socket with this port or path becomes the management socket.",
    )
    probe_bind: str = Field(
        default="unix:/tmp/probe.sock",
        description="Unix socket of the health probe. Outside a container the default is "
        "`todo-probe.sock` in `$XDG_RUNTIME_DIR`, or `probe.sock` beside the embedded database.",
    )
    instance_file: Path | None = Field(
        default=None,
        description="File of this instance, if several instances share one socket; its folder "
        "must contain only such files. An instance locks its file while it is ready. While it is "
        "not ready, it leaves new connections to the ready instances.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Minimum severity of log records."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Proxies whose forwarding header is trusted: addresses or networks, separated "
        "by commas, and `unix` for all peers on Unix sockets.",
    )
    forwarded_header: ForwardedHeader = Field(
        default="x-forwarded-for",
        description="Header in which trusted proxies name the client: `x-forwarded-for` (with "
        "`X-Forwarded-Proto`), `forwarded` (RFC 7239), or `none`. Other forwarding headers are "
        "ignored.",
    )
    shutdown_deadline_s: float = Field(
        default=10.0,
        ge=1,
        le=3600,
        description="Maximum seconds from SIGTERM to the end of the process; connections that are "
        "still open are closed.",
    )

    @field_validator("database_url")
    @classmethod
    def _normalize_url(cls, text: str) -> str:
        if not text:
            return text
        try:
            url = make_url(text)
        except ArgumentError:
            # SQLAlchemy's message repeats the URL, which may contain a password.
            msg = "is not a valid database URL"
            raise ValueError(msg) from None
        driver = _DRIVERS.get(url.drivername)
        if driver is None:
            msg = "must start with postgresql+psycopg:// or sqlite+aiosqlite://"
            raise ValueError(msg)
        if driver.startswith("sqlite") and url.database in {None, "", ":memory:"}:
            msg = "must name a file, such as sqlite+aiosqlite:////var/lib/todo/todo.db"
            raise ValueError(msg)
        return url.set(drivername=driver).render_as_string(hide_password=False)

    @field_validator("bind", "management_bind", "probe_bind")
    @classmethod
    def _check_address(cls, text: str) -> str:
        return str(parse_address(text))

    @field_validator("probe_bind")
    @classmethod
    def _require_unix(cls, text: str) -> str:
        if not text.startswith("unix:"):
            msg = "must be unix:/path, because the probe runs on the server's machine"
            raise ValueError(msg)
        return text

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, text: object) -> object:
        return text.upper() if isinstance(text, str) else text

    @field_validator("forwarded_header", mode="before")
    @classmethod
    def _lower(cls, text: object) -> object:
        return text.lower() if isinstance(text, str) else text

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        for name in names:
            if name != "unix":
                ip_network(name)
        return names

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return parse_origins(value) if isinstance(value, str) else value

    @field_validator("jwks_url")
    @classmethod
    def _check_key_set(cls, text: str | None) -> str | None:
        return None if text is None else check_secure(text)

    @model_validator(mode="after")
    def _one_key_set(self) -> Self:
        if self.jwks_url and self.jwks_file:
            msg = "TODO_JWKS_URL and TODO_JWKS_FILE are mutually exclusive; unset one"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _distinct_addresses(self) -> Self:
        if len({self.bind, self.management_bind, self.probe_bind}) < 3:  # noqa: PLR2004
            msg = "TODO_BIND, TODO_MANAGEMENT_BIND and TODO_PROBE_BIND must differ"
            raise ValueError(msg)
        return self

    @property
    def login_service(self) -> str | None:
        """Issuer of the tokens, if they are verified with its key set."""
        return self.token_issuer if self.jwks_url or self.jwks_file else None

    @property
    def url(self) -> URL:
        """Database URL without the password from the password file."""
        return make_url(self.database_url)


def load_settings() -> Settings:
    """Read and validate the environment, with the defaults for a container or a host.

    Raises:
        FatalError: A variable is unknown, missing or invalid; the message names it.
    """
    environ = os.environ
    _refuse_unknown(environ)
    defaults = {} if in_container(environ) else _host_defaults(environ)
    given = {name for name in Settings.model_fields if environ.get(PREFIX + name.upper())}
    try:
        settings = Settings(**{name: v for name, v in defaults.items() if name not in given})
    except ValidationError as error:
        raise FatalError(ExitCode.CONFIGURATION, _explain(error)) from None
    if not settings.database_url:
        message = (
            "TODO_DATABASE_URL is missing: a container has no embedded database; set it, for "
            "example postgresql+psycopg://todo@/todo?host=/run/todo"
        )
        raise FatalError(ExitCode.CONFIGURATION, message)
    return settings


def _host_defaults(environ: Mapping[str, str]) -> dict[str, Any]:
    data = data_directory(environ)
    runtime = environ.get("XDG_RUNTIME_DIR")
    probe = Path(runtime) / "todo-probe.sock" if runtime else data / "probe.sock"
    defaults: dict[str, Any] = {
        "token_secret_file": data / "token-secret",
        "probe_bind": f"unix:{probe}",
    }
    if not environ.get("TODO_DATABASE_URL"):
        url = URL.create("sqlite+aiosqlite", database=str(data / "todo.db"))
        defaults["database_url"] = url.render_as_string()
        defaults["database_migrate"] = "startup"
    return defaults


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX) or name.upper() in known:
            continue
        if "KUBERNETES_SERVICE_HOST" in environ and _SERVICE_LINK.fullmatch(name):
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=_NEAR)
        hint = f"did you mean {near[0]}?" if near else "docs/configure.md lists them all"
        message = f"{name} is not a known option; {hint}"
        raise FatalError(ExitCode.CONFIGURATION, message)


def _explain(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_input=False, include_url=False):
        reason = word_error(item)
        field = str(item["loc"][0]) if item["loc"] else ""
        parts.append(f"{PREFIX}{field.upper()}: {reason}" if field else reason)
    return "; ".join(parts)
