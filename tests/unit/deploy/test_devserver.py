import socket
from pathlib import Path

import pytest

from deploy import devserver
from deploy.errors import DeployError, ExitCode
from todo.settings import Settings

FOLDER = Path("/state/dev")


def test_without_configuration_it_runs_on_sqlite_on_the_loopback() -> None:
    environment = devserver.render_environment(8000, {}, FOLDER)
    assert environment["TODO_DATABASE_URL"] == "sqlite+aiosqlite:////state/dev/todo.db"
    assert environment["TODO_BIND"] == "127.0.0.1:8000"
    assert environment["TODO_MANAGEMENT_BIND"] == "127.0.0.1:9000"


def test_what_the_caller_configures_stays() -> None:
    mine = {"TODO_DATABASE_URL": "postgresql://db/todo", "TODO_LOG_LEVEL": "DEBUG"}
    environment = devserver.render_environment(8000, mine, FOLDER)
    assert environment["TODO_DATABASE_URL"] == "postgresql://db/todo"


def test_it_sets_only_options_that_the_service_has() -> None:
    names = {
        name.removeprefix("TODO_").lower()
        for name in devserver.render_environment(8000, {}, FOLDER)
        if name.startswith("TODO_")
    }
    assert names <= set(Settings.model_fields)


def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DeployError, match=f"port {port} of 127.0.0.1") as caught:
            devserver.require_free(port)
    assert caught.value.code == ExitCode.CONFIG
    assert "--port" in caught.value.hint
    devserver.require_free(port)
