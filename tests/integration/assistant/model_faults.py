"""The ways in which a model server fails, and the reason that the client finds for each."""

import gzip
import json

from tests.integration.assistant import model_server as server
from tests.integration.assistant.model_server import Answer, delta

TOO_MANY = [
    server.call_piece("{}", name="a", identifier=f"c{number}", index=number) for number in range(99)
]


def nest_object(depth: int) -> server.Json:
    """An object within an object, and so on."""
    value: server.Json = {}
    for _ in range(depth):
        value = {"of": value}
    return value


HUGE = b"data: " + b"x" * (1024 * 1024) + b"\n\n"
FAULTS: dict[str, tuple[Answer, str]] = {
    "closes without a response": (server.close, "interrupted"),
    "hangs before the first token": (server.hang, "timeout"),
    "hangs before the first token of a stream": (server.hang_after(), "timeout"),
    "hangs after a token": (server.hang_after(delta("Hel")), "timeout"),
    "sends comments only": (server.repeat(b": ping\n\n", 0.01), "timeout"),
    "sends bytes one by one": (server.repeat(b"d", 0.01), "timeout"),
    "closes in the middle of the stream": (server.close_after(delta("Hel")), "interrupted"),
    "ends the stream in the middle": (
        server.stream_raw(f"data: {json.dumps(delta('Hel'))}\n\n".encode()),
        "interrupted",
    ),
    "sends garbage instead of HTTP": (server.send_raw(b"\x00\xffgarbage\r\n\r\n"), "invalid"),
    "sends garbage as a stream": (server.stream_raw(b"\x00\xff\n\ngarbage\n"), "invalid"),
    "sends an empty stream": (server.stream_raw(), "invalid"),
    "sends an empty body": (server.respond("200 OK"), "invalid"),
    "sends invalid JSON": (server.events('{"choices": ['), "invalid"),
    "sends another value than an object": (server.events("[]"), "invalid"),
    "sends choices of another kind": (server.events({"choices": ["x"]}), "invalid"),
    "sends a text of another kind": (
        server.events({"choices": [{"delta": {"content": [1]}}]}),
        "invalid",
    ),
    "sends a call of another kind": (server.events(delta(calls=["x"])), "invalid"),  # type: ignore[list-item]
    "sends arguments of another kind": (
        server.events(delta(calls=[{"function": {"arguments": 1}}])),
        "invalid",
    ),
    "nests the arguments of a call deeply": (
        server.events(
            delta(calls=[{"function": {"name": "overview", "arguments": nest_object(400)}}])
        ),
        "invalid",
    ),
    "writes too long a text": (server.events(delta("x" * 70_000), delta("y" * 70_000)), "invalid"),
    "nests deeply": (server.events("[" * 100_000), "invalid"),
    "sends only empty choices": (server.events(server.usage(1, 1)), "invalid"),
    "answers nothing": (server.events(delta(""), delta(finish="stop")), "invalid"),
    "calls too many tools": (server.events(delta(calls=TOO_MANY)), "invalid"),
    "sends HTML": (
        server.respond("200 OK", b"<html>Log in</html>", kind="text/html"),
        "invalid",
    ),
    "sends a huge line": (server.stream_raw(HUGE), "invalid"),
    "sends a line without an end": (server.repeat(b"x" * 65536), "invalid"),
    "sends tokens without an end": (
        server.repeat(b"".join(f"data: {json.dumps(delta('x'))}\n\n".encode() for _ in range(500))),
        "invalid",
    ),
    "sends one huge object": (
        server.respond("200 OK", b'{"a": "' + b"x" * (4 * 1024 * 1024) + b'"}'),
        "invalid",
    ),
    "compresses": (
        server.respond("200 OK", gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
        "invalid",
    ),
    "redirects": (
        server.respond("307 Temporary Redirect", headers={"Location": "http://127.0.0.1:1/"}),
        "refused",
    ),
    "wants a key": (server.respond("401 Unauthorized", b'{"error": {"code": "x"}}'), "refused"),
    "does not know the model": (server.respond("404 Not Found"), "refused"),
    "limits the rate": (
        server.respond("429 Too Many Requests", headers={"Retry-After": "1"}),
        "rate-limited",
    ),
    "fails": (server.respond("500 Internal Server Error", b"oops"), "server-error"),
    "loads its model": (server.respond("503 Service Unavailable"), "server-error"),
    "fails within the stream": (
        server.events(delta("Hel"), {"error": {"code": 500, "message": "oops"}}),
        "server-error",
    ),
    "limits the rate within the stream": (
        server.events({"error": {"type": "rate_limit_exceeded"}}),
        "rate-limited",
    ),
    "fails with a field of its own": (server.stream_raw(b"error: {}\n\n"), "server-error"),
}
