import socket
import threading
from pathlib import Path

import pytest

from deploy.cli.dev import Dev
from deploy.dev import server
from deploy.errors import DeployError, ExitCode
from todo.config.settings import Settings

FOLDER = Path("/state/dev")


def test_without_configuration_it_runs_on_sqlite_on_the_loopback() -> None:
    environment = server.render_environment(8000, {}, FOLDER)
    assert environment["TODO_DATABASE_URL"] == "sqlite+aiosqlite:////state/dev/todo.db"
    assert environment["TODO_BIND"] == "127.0.0.1:8000"
    assert environment["TODO_MANAGEMENT_BIND"] == "127.0.0.1:9000"


def test_what_the_caller_configures_stays() -> None:
    mine = {"TODO_DATABASE_URL": "postgresql://db/todo", "TODO_LOG_LEVEL": "DEBUG"}
    environment = server.render_environment(8000, mine, FOLDER)
    assert environment["TODO_DATABASE_URL"] == "postgresql://db/todo"


def test_it_sets_only_options_that_the_service_has() -> None:
    names = {
        name.removeprefix("TODO_").lower()
        for name in server.render_environment(8000, {}, FOLDER)
        if name.startswith("TODO_")
    }
    assert names <= set(Settings.model_fields)


def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DeployError, match=f"port {port} of 127.0.0.1") as caught:
            server.require_free(port)
    assert caught.value.code == ExitCode.CONFIG
    assert "--port" in caught.value.hint
    server.require_free(port)


def test_the_management_port_is_explained_when_it_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DeployError) as caught:
            server.require_free(port, "it is the management port of 8000, ")
    assert caught.value.hint == "it is the management port of 8000, choose another port with --port"


def test_two_servers_share_the_data_and_not_the_probe() -> None:
    one, other = (server.render_environment(port, {}, FOLDER) for port in (8000, 8001))
    assert one["TODO_DATABASE_URL"] == other["TODO_DATABASE_URL"]
    assert one["TODO_PROBE_BIND"] != other["TODO_PROBE_BIND"]


def test_the_greeting_has_address_token_request_and_end() -> None:
    text = server.render_greeting(8123, FOLDER)
    assert "Serving at http://127.0.0.1:8123" in text
    assert "python3 build.py dev --token alice" in text
    assert "  curl http://127.0.0.1:8123/api/v1/tasks" in text
    assert "Ctrl-C" in text


def test_the_secret_is_the_same_for_all_that_start_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    seen = []

    def make() -> None:
        start.wait()
        server._make_secret(tmp_path)  # noqa: SLF001 - what runs before two servers
        seen.append((tmp_path / "token-secret").read_text())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["token-secret"]


@pytest.mark.parametrize("subject", ["", "a\nb", "-x" * 200])
def test_a_subject_that_nobody_has_is_refused_in_plain_words(
    subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(DeployError, match=r"^no token: --subject: the subject must be") as caught:
        Dev.run(
            ["dev", f"--token={subject}" if subject else "--token", *([] if subject else [""])],
            exit=False,
        )
    assert caught.value.code == ExitCode.USAGE
