"""An event of the log, made readable for people, and for programs."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.stack import log_line

AT = datetime(2026, 11, 29, 9, 0, 1, 500_000, UTC)
REQUEST = {
    "timestamp": "2026-11-29T09:00:01+00:00",
    "level": "INFO",
    "logger": "todo.access",
    "message": "request",
    "request_id": "r1",
    "trace_id": "6906",
    "span_id": "5794",
    "method": "GET",
    "status": 401,
}


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def entry(message: object, **fields: str) -> str:
    """A line of journalctl's JSON."""
    of_container = {"CONTAINER_NAME": "todo-backend", "_SYSTEMD_USER_UNIT": "todo-backend.service"}
    time = {"__REALTIME_TIMESTAMP": str(int(AT.timestamp() * 1_000_000))}
    return json.dumps({"MESSAGE": message, "PRIORITY": "6", **time, **(fields or of_container)})


def get(text: str) -> log_line.Line:
    line = log_line.parse(text)
    assert line is not None
    return line


def test_an_event_of_the_backend_is_a_readable_line_that_ends_with_its_request() -> None:
    line = get(entry(json.dumps(REQUEST) + "\n"))

    assert str(line) == (
        "2026-11-29 09:00:01 backend INFO     access: request method=GET status=401 request=r1"
    )


def test_values_of_fields_are_shown_without_signs_of_a_programming_language() -> None:
    event = {"message": "m", "a": ["x", "y"], "b": True, "c": None, "d": 1.5}

    assert str(get(entry(json.dumps(event)))).endswith(" m a=x,y b=true c=null d=1.5")


def test_a_traceback_is_below_its_line() -> None:
    event = {"message": "m", "exc_info": "Traceback:\n  File\nValueError: x"}

    shown = str(get(entry(json.dumps(event)))).splitlines()

    assert shown[0].endswith(" m")
    assert shown[1:] == ["    Traceback:", "      File", "    ValueError: x"]


def test_on_a_terminal_an_error_is_red_and_elsewhere_nothing_is_colored() -> None:
    line = get(entry(json.dumps({**REQUEST, "level": "ERROR"})))

    assert "\033[31mERROR   \033[0m" in line.render(color=True)
    assert "\033" not in line.render()


@pytest.mark.parametrize("event", ["a\x1b[2Jb\rc", json.dumps({"message": "a\x1b[2Jb\rc"})])
def test_what_a_client_made_the_program_log_cannot_control_a_terminal(event: str) -> None:
    assert get(entry(event)).render().endswith(r"a\x1b[2Jb\x0dc")


def test_as_json_nothing_of_an_event_is_lost() -> None:
    found: dict[str, Any] = json.loads(get(entry(json.dumps(REQUEST))).as_json())

    assert found == {**REQUEST, "unit": "backend"}


def test_half_a_surrogate_pair_can_be_written_in_either_form() -> None:
    line = get(entry(r'{"message": "a\ud800b"}'))

    assert line.render().encode().endswith(rb"a\xd800b")
    assert json.loads(line.as_json().encode())["message"] == "a\ud800b"


@pytest.mark.parametrize(
    ("fields", "unit", "level"),
    [
        ({"USER_UNIT": "todo-db.service", "SYSLOG_IDENTIFIER": "systemd"}, "db", "INFO"),
        ({"_SYSTEMD_USER_UNIT": "todo-migrate.service", "PRIORITY": "3"}, "migrate", "ERROR"),
        ({"_SYSTEMD_USER_UNIT": "todo-db.service", "PRIORITY": "4"}, "db", "WARNING"),
    ],
)
def test_plain_lines_have_unit_and_level_of_the_journal(
    fields: dict[str, str], unit: str, level: str
) -> None:
    line = get(entry("Starting…", **fields))

    assert str(line) == f"2026-11-29 09:00:01 {unit:<7} {level:<8} Starting…"


@pytest.mark.parametrize("message", ['["no object"]', '{"no": "message"}', "{cut off", "42"])
def test_a_line_that_is_not_an_event_is_shown_as_it_is(message: str) -> None:
    assert get(entry(message)).render().endswith(f" INFO     {message}")


def test_an_error_of_podman_and_the_failure_of_a_service_are_errors() -> None:
    fields = {"_SYSTEMD_USER_UNIT": "todo-db.service", "SYSLOG_IDENTIFIER": "todo-db"}
    systemd = {"USER_UNIT": "todo-db.service", "SYSLOG_IDENTIFIER": "systemd", "PRIORITY": "4"}

    assert get(entry("Error: no such image", **fields)).is_error
    assert get(entry("todo-db.service: Failed with result 'exit-code'.", **systemd)).is_error
    assert not get(entry("todo-db.service: Consumed 2 s CPU time.", **systemd)).is_error


@pytest.mark.parametrize(
    ("container", "message", "level"),
    [
        ("todo-db", "[1] LOG:  database system is ready to accept connections", "INFO"),
        ("todo-db", "[87] todo@todo WARNING:  there is no transaction in progress", "WARNING"),
        ("todo-db", '[87] todo@todo ERROR:  relation "a" does not exist at character 15', "ERROR"),
        ("todo-db", "[87] todo@todo STATEMENT:  SELECT 'ERROR: x' FROM a", "INFO"),
        ("todo-db", '[91] x@todo FATAL:  role "x" does not exist', "ERROR"),
        ("todo-db", "[1] PANIC:  could not write to file: No space left on device", "CRITICAL"),
        ("todo-db", "\tERROR at the start of a second line", "INFO"),
        ("todo-migrate", "todo.admin: error: the database is newer", "ERROR"),
        ("todo-migrate", "the schema is at revision 12", "INFO"),
    ],
)
def test_the_level_of_a_plain_line_of_a_container_is_what_the_program_says(
    container: str, message: str, level: str
) -> None:
    # conmon logs standard error, which is all that PostgreSQL writes, as errors.
    fields = {"CONTAINER_NAME": container, "PRIORITY": "3", "SYSLOG_IDENTIFIER": container}

    assert get(entry(message, **fields)).level == level


def test_bytes_that_are_not_text_are_shown_all_the_same() -> None:
    assert get(entry([104, 105, 255])).message == "hi\ufffd"


@pytest.mark.parametrize("text", [entry("9c66" * 16), entry("\n"), entry(None), "no JSON"])
def test_lines_that_say_nothing_to_a_reader_are_left_out(text: str) -> None:
    assert log_line.parse(text) is None
