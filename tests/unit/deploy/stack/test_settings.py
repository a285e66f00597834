"""The effective settings: where each comes from, and nothing secret in what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.cli.config import render
from deploy.stack import settings, status
from deploy.stack.services import MANAGEMENT, SOCKET
from deploy.units.parser import parse_unit
from todo.config.settings import PREFIX, Settings

if TYPE_CHECKING:
    from deploy.stack.settings import Setting

DEFAULTS = {"TODO_BIND": "`127.0.0.1:8000`", "TODO_CORS_ORIGINS": "none"}


def options(
    set_here: dict[str, tuple[str, str]], running: dict[str, str] | None = None
) -> dict[str, Setting]:
    return {each.name: each for each in settings.render_options(DEFAULTS, set_here, running)}


def test_an_option_that_nobody_set_has_its_default() -> None:
    found = options({})
    assert (found["TODO_BIND"].value, found["TODO_BIND"].source) == ("127.0.0.1:8000", "default")
    assert found["TODO_CORS_ORIGINS"].value == "none"


def test_an_empty_value_is_the_default_and_names_the_file_that_emptied_it() -> None:
    found = options({"TODO_BIND": ("", "60-mine.conf:2")})["TODO_BIND"]
    assert found.value == "127.0.0.1:8000"
    assert found.source == "default (empty in 60-mine.conf:2)"


def test_what_the_running_backend_has_otherwise_is_shown() -> None:
    found = options({"TODO_BIND": ("[::1]:1", "a:1")}, {"TODO_BIND": "[::1]:2"})
    assert found["TODO_BIND"].running == "[::1]:2"
    assert found["TODO_CORS_ORIGINS"].running is None


def test_a_variable_removed_from_the_files_still_runs() -> None:
    assert options({}, {"TODO_CORS_ORIGINS": "https://a"})["TODO_CORS_ORIGINS"].running


def test_other_variables_follow_the_options() -> None:
    assert list(options({"SSL_CERT_FILE": ("/x", "a:1")})) == [*DEFAULTS, "SSL_CERT_FILE"]


def test_an_option_that_the_backend_does_not_know_is_marked() -> None:
    found = options({"TODO_BINDD": ("[::1]:1", "a:1"), "SSL_CERT_FILE": ("/x", "a:1")})
    assert found["TODO_BINDD"].problem == "not an option, did you mean TODO_BIND?"
    assert found["TODO_BIND"].problem is found["SSL_CERT_FILE"].problem is None
    shown = render(settings.Settings(tuple(found.values()), (), ()), {})
    assert "TODO_BINDD" in shown
    assert "a:1  (not an option, did you mean TODO_BIND?)\n" in shown


def test_in_a_lab_an_address_is_shown_as_its_reader_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "[Socket]\nListenStream=127.0.0.1:8000\nListenStream=/run/x\n"
    sockets = [parse_unit(SOCKET, text)]
    assert all(each.published is None for each in settings.find_addresses(sockets))
    monkeypatch.setenv(status.PUBLISHED_URL, "http://127.0.0.1:18000")
    found = tuple(settings.find_addresses(sockets))
    assert [each.published for each in found] == ["http://127.0.0.1:18000", None]
    shown = render(settings.Settings((), found, ()), {})
    assert "127.0.0.1:8000" in shown
    assert "(in the lab; from this host http://127.0.0.1:18000)\n" in shown


def test_addresses_have_the_purpose_of_their_unit() -> None:
    texts = {
        SOCKET: "[Socket]\nListenStream=127.0.0.1:8000\nListenStream=[::1]:8000\n",
        MANAGEMENT: "[Socket]\nListenStream=127.0.0.1:9000\n",
        "todo-management@2.socket": "[Socket]\nListenStream=127.0.0.1:9001\n",
    }
    found = settings.find_addresses(parse_unit(name, text) for name, text in texts.items())
    assert [(each.unit, each.name, each.value) for each in found] == [
        (SOCKET, "public", "127.0.0.1:8000"),
        (SOCKET, "further", "[::1]:8000"),
        (MANAGEMENT, "management", "127.0.0.1:9000"),
        ("todo-management@2.socket", "management", "127.0.0.1:9001"),
    ]


def test_both_addresses_in_one_unit_are_public_and_management() -> None:
    socket = parse_unit(SOCKET, "[Socket]\nListenStream=127.0.0.1:1\nListenStream=127.0.0.1:2\n")
    assert [each.name for each in settings.find_addresses([socket])] == ["public", "management"]


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "AWS_ACCESS_KEY_ID", "MINE"])
def test_the_value_of_a_variable_that_is_not_an_option_is_hidden(name: str) -> None:
    found = options({name: ("api-key=hunter2", "a:1")}, {name: "api-key=hunter1"})[name]
    assert (found.value, found.running, found.source) == ("***", "***", "a:1")


def test_a_variable_of_a_library_that_holds_no_secret_is_shown() -> None:
    assert options({"SSL_CERT_FILE": ("/x", "a:1")})["SSL_CERT_FILE"].value == "/x"


def test_of_several_assignments_the_last_one_counts_with_its_place() -> None:
    unit = parse_unit(
        "a.container",
        '[Container]\nEnvironment=TODO_BIND=1 "TODO_X=a b"\n',
        [("a.container.d/60-mine.conf", "[Container]\nEnvironment=TODO_BIND=$$2\n")],
    )
    assert settings.read_environment(unit) == {
        "TODO_BIND": ("$2", "a.container.d/60-mine.conf:2"),
        "TODO_X": ("a b", "a.container:2"),
    }


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("PGPASSWORD", "hunter2", "***"),
        ("TODO_TOKEN_SECRET", "hunter2", "***"),
        ("API_KEY", "hunter2", "***"),
        ("TODO_TOKEN_SECRET_FILE", "/run/secrets/a", "/run/secrets/a"),
        ("TODO_TOKEN_ISSUER", "https://a", "https://a"),
        ("X", "postgresql+psycopg://todo:hunter2@db/todo", "postgresql+psycopg://todo:***@db/todo"),
        ("X", "postgresql://todo:hu@n:t/er2@db/todo", "postgresql://todo:***@db/todo"),
        ("X", "postgresql://:hunter2@db/todo", "postgresql://:***@db/todo"),
        ("X", "postgresql://todo@/todo?host=/run/todo", "postgresql://todo@/todo?host=/run/todo"),
        (
            "X",
            "postgresql://db/a?user=b&password=hunter2&x=1",
            "postgresql://db/a?user=b&password=***&x=1",
        ),
        ("X", "host=db sslpassword=hunter2 port=1", "host=db sslpassword=*** port=1"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(name: str, value: str, shown: str) -> None:
    assert settings.hide(name, value) == shown


def test_what_runs_is_hidden_likewise() -> None:
    found = options(
        {"TODO_BIND": ("postgresql://a:one@b", "a:1")}, {"TODO_BIND": "postgresql://a:two@b"}
    )
    assert "two" not in str(found["TODO_BIND"])


def test_every_option_of_the_service_has_a_default_in_the_table() -> None:
    table = settings.read_defaults()
    assert set(table) == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
