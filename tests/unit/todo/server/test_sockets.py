import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from todo.config.addresses import parse_address
from todo.core.exit import FatalError
from todo.server.sockets import accept, find_names, inherited_descriptors, is_bound_to, listen


@pytest.mark.parametrize(
    ("environ", "pid", "expected"),
    [
        ({}, 7, []),
        ({"LISTEN_FDS": "2"}, 7, [3, 4]),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "7"}, 7, [3, 4]),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "8"}, 7, []),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "8"}, 1, [3, 4]),
        ({"LISTEN_FDS": "0"}, 7, []),
    ],
)
def test_descriptors_are_taken_when_they_are_meant_for_us(
    environ: dict[str, str], pid: int, expected: list[int]
) -> None:
    assert list(inherited_descriptors(environ, pid)) == expected


def test_a_count_that_is_no_number_is_fatal() -> None:
    with pytest.raises(FatalError, match="LISTEN_FDS"):
        inherited_descriptors({"LISTEN_FDS": "two"}, 7)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("", ["", ""]),
        ("management:public", ["management", "public"]),
        ("todo-backend.socket:unknown", ["", ""]),
        (":public", ["", "public"]),
    ],
)
def test_names_say_what_a_descriptor_is_for_or_nothing(names: str, expected: list[str]) -> None:
    assert find_names({"LISTEN_FDNAMES": names}, 2) == expected


def test_names_without_descriptors_are_not_read() -> None:
    assert find_names({"LISTEN_FDNAMES": "other"}, 0) == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("public:metrics", "inherited descriptor 4 has the unknown name metrics"),
        ("public", "LISTEN_FDNAMES has 1 names for 2 descriptors"),
    ],
)
def test_a_descriptor_for_something_else_is_not_taken_for_a_public_one(
    names: str, said: str
) -> None:
    with pytest.raises(FatalError, match=said):
        find_names({"LISTEN_FDNAMES": names}, 2)


def test_a_socket_is_recognised_by_its_port_whatever_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        assert is_bound_to(listener, parse_address(f"127.0.0.1:{port}"))
        assert is_bound_to(listener, parse_address(f"[::]:{port}"))
        assert not is_bound_to(listener, parse_address("127.0.0.1:1"))
        assert not is_bound_to(listener, parse_address("unix:/x"))


def test_a_unix_socket_is_recognised_by_its_path(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))

        assert is_bound_to(listener, parse_address(f"unix:{tmp_path}/s"))
        assert not is_bound_to(listener, parse_address("unix:/other"))
        assert not is_bound_to(listener, parse_address("127.0.0.1:1"))


@pytest.mark.parametrize("text", ["127.0.0.1:8000", "[::]:80", "[::1]:8000", "unix:/run/x.sock"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_address(text)) == text


def accept_directly(listener: socket.socket) -> socket.socket:
    """Behave like `accept` with the flag cleared in between."""
    return listener.accept()[0]


@pytest.mark.parametrize("take", [accept, accept_directly])
def test_no_connection_is_waited_for_although_another_process_cleared_the_flag(
    take: Callable[[socket.socket], socket.socket],
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listen(listener)
        listener.settimeout(None)
        # Ends a wait with another error.
        timer = threading.Timer(60, listener.shutdown, [socket.SHUT_RDWR])
        timer.start()
        try:
            with pytest.raises(BlockingIOError):
                take(listener)
        finally:
            timer.cancel()
        assert os.get_blocking(listener.fileno()) is (take is accept_directly)
