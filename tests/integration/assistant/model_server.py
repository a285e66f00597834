"""A model server that follows a script: real sockets, an answer for each request, and faults."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Exchange:
    """One request of the client, and the connection to answer it on.

    Attributes:
        head: Request line and headers.
        body: The request.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, body: Json
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.head = head
        self.body = body

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def start(self, kind: str = "text/event-stream", status: str = "200 OK") -> None:
        """Send the header section of a chunked response."""
        await self.send(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n"
            "Connection: close\r\n\r\n".encode()
        )

    async def chunk(self, data: bytes) -> None:
        """Send a piece of a chunked response."""
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, value: object) -> None:
        """Send an event."""
        data = value if isinstance(value, str) else json.dumps(value)
        await self.chunk(f"data: {data}\n\n".encode())

    async def end(self) -> None:
        """End a chunked response."""
        await self.send(b"0\r\n\r\n")

    async def wait_for_client(self) -> None:
        """Wait until the client closes the connection."""
        with contextlib.suppress(ConnectionError):
            await self._reader.read()


Answer = Callable[[Exchange], Awaitable[None]]


def delta(
    content: str | None = None, *, finish: str | None = None, calls: Sequence[Json] = ()
) -> Json:
    """A chunk of an answer."""
    piece: Json = {"content": content}
    if calls:
        piece["tool_calls"] = list(calls)
    choice = {"index": 0, "delta": piece, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def call_piece(
    arguments: str, *, name: str | None = None, index: int | None = 0, identifier: str | None = None
) -> Json:
    """A piece of a call, with only what is given."""
    function: Json = {"arguments": arguments}
    if name is not None:
        function["name"] = name
    piece: Json = {"type": "function", "function": function}
    if index is not None:
        piece["index"] = index
    if identifier is not None:
        piece["id"] = identifier
    return piece


def usage(prompt: int, output: int) -> Json:
    """The last chunk of servers that count tokens; its choices are empty."""
    counts = {"prompt_tokens": prompt, "completion_tokens": output}
    return {"object": "chat.completion.chunk", "choices": [], "usage": counts}


def events(*values: object) -> Answer:
    """Stream these chunks, and the mark of the end."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start()
        for value in (*values, "[DONE]"):
            await exchange.event(value)
        await exchange.end()

    return answer


def say(text: str) -> Answer:
    """Answer with a text, word by word."""
    pieces = [delta(word) for word in text.split(" ")[:1]]
    pieces += [delta(f" {word}") for word in text.split(" ")[1:]]
    return events(*pieces, delta(finish="stop"), usage(20, len(pieces)))


def call(name: str, arguments: Mapping[str, Any] | str) -> Answer:
    """Call one tool, the arguments in two pieces."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    half = len(written) // 2
    return events(
        delta(calls=[call_piece("", name=name, identifier="call_1")]),
        delta(calls=[call_piece(written[:half])]),
        delta(calls=[call_piece(written[half:])]),
        delta(finish="tool_calls"),
        usage(30, 10),
    )


def respond(
    status: str,
    body: bytes = b"",
    *,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Answer without a stream."""
    lines = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    async def answer(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 {status}\r\n{head}Connection: close\r\n\r\n".encode() + body)

    return answer


def send_raw(data: bytes) -> Answer:
    """Send these bytes and close."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(data)

    return answer


def stream_raw(*pieces: bytes, kind: str = "text/event-stream") -> Answer:
    """Stream these pieces, and close."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start(kind)
        for piece in pieces:
            await exchange.chunk(piece)
        await exchange.end()

    return answer


async def close(_exchange: Exchange) -> None:
    """Close without a response."""


async def hang(exchange: Exchange) -> None:
    """Never answer."""
    await exchange.wait_for_client()


def hang_after(*values: object) -> Answer:
    """Stream these chunks, then nothing."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start()
        for value in values:
            await exchange.event(value)
        await exchange.wait_for_client()

    return answer


def close_after(*values: object) -> Answer:
    """Stream these chunks, then close in the middle of the stream."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start()
        for value in values:
            await exchange.event(value)

    return answer


def repeat(piece: bytes, pause_s: float = 0.0) -> Answer:
    """Stream this piece until the client leaves."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start()
        while True:
            await exchange.chunk(piece)
            await asyncio.sleep(pause_s)

    return answer


class ModelServer:
    """The server, in a thread of the tests.

    Attributes:
        url: What the option TODO_AI_URL is to be.
        requests: The bodies of all requests.
        heads: Their request lines and headers.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Json] = []
        self.heads: list[str] = []
        self._answers: list[Answer] = []
        self._connections = 0

    @property
    def open_connections(self) -> int:
        """Number of open client connections."""
        return self._connections

    def follow(self, *answers: Answer) -> None:
        """Answer the next requests so; the last answer is repeated."""
        self._answers = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection."""
        self._connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length:")[2].split("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            self.heads.append(head)
            self.requests.append(body)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            await answer(Exchange(reader, writer, head, body))
        except (OSError, asyncio.IncompleteReadError):
            pass  # The client has left.
        finally:
            self._connections -= 1
            writer.close()


@contextlib.contextmanager
def open_model_server(
    path: Path | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[ModelServer]:
    """Start a model server on loopback, or on a Unix socket at this path."""
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0))
        origin = "http://127.0.0.1" if tls is None else "https://localhost"
        server = ModelServer(f"{origin}:{listener.getsockname()[1]}/v1")
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        server = ModelServer(f"unix:{path}")
    stop = threading.Event()

    async def run() -> None:
        start = asyncio.start_server if path is None else asyncio.start_unix_server
        serving = await start(server.serve, sock=listener, ssl=tls)
        await asyncio.to_thread(stop.wait)
        # Answers that hang end with the loop.
        serving.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        thread.join()
        if path is not None:
            path.unlink(missing_ok=True)
