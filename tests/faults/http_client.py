"""One HTTP/1.1 exchange over asyncio's streams, for the load client. Standard library only."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any


class LostError(Exception):
    """No whole response came; the text says why."""


@dataclasses.dataclass(frozen=True)
class Response:
    """A whole response.

    Args:
        status: Its code.
        fields: Header fields, names in lower case.
        body: Its content; empty for a stream of events.
    """

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def deferred(self) -> bool:
        """Whether it is a 503 that says when to come back."""
        return self.status == 503 and "retry-after" in self.fields

    @property
    def closes(self) -> bool:
        """Whether the server ends the connection after it."""
        return self.fields.get("connection", "").lower() == "close"

    def parse_json(self) -> Any:  # noqa: ANN401 - whatever the server sent
        """The content."""
        return json.loads(self.body)


class Connection:
    """A connection to the server, which may be used again.

    Args:
        host: Its address.
        port: Its port.
        timeout_s: Seconds after which an answer counts as lost.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._address = (host, port)
        self._timeout_s = timeout_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def exchange(
        self,
        method: str,
        path: str,
        token: str,
        *,
        headers: dict[str, str] | None = None,
        document: object = None,
        keep: bool = True,
    ) -> Response:
        """Send a request; opens the connection where it is closed or the server has ended it.

        Raises:
            LostError: No whole response came.
        """
        body = b"" if document is None else json.dumps(document).encode()
        sent = {"Host": "{}:{}".format(*self._address), "Authorization": f"Bearer {token}"}
        if body:
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if not keep:
            sent["Connection"] = "close"
        sent |= headers or {}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        request = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
        try:
            async with asyncio.timeout(self._timeout_s):
                reader, writer = await self._open()
                response = await _exchange(reader, writer, request)
        except TimeoutError:
            self.close()
            raise LostError("no answer in time") from None
        except LostError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise LostError(type(error).__name__) from error
        if response.closes or not keep:
            self.close()
        return response

    async def read_line(self) -> bytes:
        """The next line of a stream of events; empty at its end.

        Raises:
            LostError: The connection was reset.
        """
        assert self._reader is not None
        try:
            return await self._reader.readline()
        except OSError as error:
            raise LostError(type(error).__name__) from error

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is not None and self._writer is not None:
            # One turn of the loop shows an end that has arrived already.
            await asyncio.sleep(0)
            if not self._reader.at_eof() and self._reader.exception() is None:
                return self._reader, self._writer
            self.close()
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        return self._reader, self._writer


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> Response:
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        status, fields = _parse_head(head)
        body = b""
        if "content-length" in fields:
            body = await reader.readexactly(int(fields["content-length"]))
        elif fields.get("transfer-encoding") != "chunked" and status not in {204, 304}:
            body = await reader.read()
    except asyncio.IncompleteReadError as error:
        raise LostError("truncated" if error.partial else "closed") from error
    return Response(status, fields, body)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parted = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in parted}
