"""The lines of a chunked body."""

import pytest

from todo.server.h11_request import ChunkedBodyChecker, InvalidChunkError

VALID = [
    b"0\r\n\r\n",
    b"3\r\na\nb\r\n000a;x;y=z\r\n0123456789\r\n0\r\n\r\n",
    b'1;a="b;\\"\t";c\r\nx\r\n0;d=e\r\nX: y\r\nZ:\r\n\r\n\n not of the body',
]
INVALID = [
    b"\r\n",
    b"x\r\n",
    b"-1\r\n",
    b"0x1\r\n",
    b"1\n",
    b" 1\r\n",
    b"1 \r\n",
    b"1\t\r\n",
    b"1;\r\n",
    b"1; a\r\n",
    b"1;a=\r\n",
    b"1;a\rb\r\n",
    b'1;a="\r\n"\r\n',
    b'1;a="\0"\r\n',
    b"12345678901234567\r\n",
    b"0\r\n\n",
    b"0\r\nX: y\n\r\n",
    b"0\r\nX: y\r\n\n",
    b"0\r\nX: y\r\n z\r\n\r\n",
    b"0\r\nX : y\r\n\r\n",
    b"0\r\nX: a\rb\r\n\r\n",
    b"0\r\nxyz\r\n\r\n",
    b"1;" + b"a" * 20_000,
]


def feed(body: bytes, size: int) -> None:
    lines = ChunkedBodyChecker()
    for start in range(0, len(body), size):
        lines.feed(body[start : start + size])


@pytest.mark.parametrize("body", VALID)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_valid_chunks_are_accepted_in_pieces_of_any_size(body: bytes, size: int) -> None:
    feed(body, size)


@pytest.mark.parametrize("body", INVALID)
@pytest.mark.parametrize("size", [1, 2, 100_000])
def test_invalid_chunks_are_refused_in_pieces_of_any_size(body: bytes, size: int) -> None:
    with pytest.raises(InvalidChunkError):
        feed(body, size)
