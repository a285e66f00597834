"""`python3 -m todo.mcp`: the MCP server over standard input and output, for clients without HTTP.

Passes each message on to the endpoint of a running service, whose address is in TODO_URL, with the
token in TODO_TOKEN. It imports the standard library only, and this file also runs by itself.
"""

import base64
import http.client
import json
import os
import select
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

META_VERSION = "io.modelcontextprotocol/protocolVersion"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_CONCURRENT = 8
# The service gives up earlier.
_TIMEOUT_S = 120
_INTERNAL_ERROR = -32603
_USAGE = 64
_REMEDIES = {401: " Check TODO_TOKEN.", 404: " Check TODO_URL."}

Json = dict[str, Any]


class Bridge:
    """Passes messages on, several at a time."""

    def __init__(self, url: str, token: str) -> None:
        """Parse the address; nothing is sent yet.

        Args:
            url: Address of the service, with or without the path of the endpoint.
            token: Bearer token.

        Raises:
            ValueError: It is not an address.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii():
            raise ValueError(url)
        self._is_secure = parts.scheme == "https"
        self._address = parts.netloc.rpartition("@")[2]
        self._path = f"{parts.path.rstrip('/').removesuffix('/mcp')}/mcp"
        self._url = f"{parts.scheme}://{self._address}{self._path}"
        self._token = token
        # Of the handshake: clients over HTTP repeat both with each request.
        self._handshake: dict[str, str] = {}
        # Ids as JSON, since a client may send anything: of what is being passed on, and of those
        # the cancelled ones.
        self._pending: Counter[str] = Counter()
        self._cancelled: set[str] = set()
        self._output = threading.Lock()
        # Each thread has a connection of its own, and keeps it.
        self._of_thread = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def run(self) -> None:
        """Pass on every line of standard input until its end."""
        with ThreadPoolExecutor(_CONCURRENT) as pool:
            for line in filter(bytes.strip, sys.stdin.buffer):
                message = _parse(line)
                if message.get("method") == "notifications/cancelled":
                    self._cancel(_find_object(message, "params").get("requestId"))
                    continue
                with self._output:
                    self._pending[json.dumps(message.get("id"))] += 1
                if message.get("method") == "initialize":
                    # The other messages need its response.
                    self.pass_on(line, message)
                else:
                    pool.submit(self.pass_on, line, message)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    def _cancel(self, request_id: object) -> None:
        key = json.dumps(request_id)
        with self._output:
            if key in self._pending:
                self._cancelled.add(key)

    def pass_on(self, line: bytes, message: Json) -> None:
        """Send a message and write its response, unless it was cancelled in the meantime."""
        try:
            answer = self.send(line, message)
        # Any error: without a response, the client would wait forever.
        except Exception as error:  # noqa: BLE001 - the boundary of a thread
            reason = str(error) or type(error).__name__
            answer = _render_error(message, f"{self._url} cannot be reached: {reason}.")
        key = json.dumps(message.get("id"))
        with self._output:
            is_cancelled = key in self._cancelled
            self._pending[key] -= 1
            if self._pending[key] <= 0:
                del self._pending[key]
                self._cancelled.discard(key)
            if answer is None or is_cancelled:
                return
            sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
            sys.stdout.buffer.flush()

    def send(self, line: bytes, message: Json) -> Json | None:
        """Send a message; return what to write, None for nothing."""
        connection = self._connect()
        try:
            connection.request("POST", self._path, line.strip(), self._find_headers(message))
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        if response.status == HTTPStatus.ACCEPTED:
            return None
        answer = _parse(content)
        if message and "id" not in message and "error" in answer:
            # A notification, or a request without an id: no client waits for this.
            return _render_error(message, _find_object(answer, "error").get("message", ""))
        if "jsonrpc" not in answer:
            return _render_error(message, _explain(response.status, answer))
        if answer.get("id") is None and "id" in message:
            # The service could not read it; the client waits for its id.
            answer["id"] = message["id"]
        if message.get("method") == "initialize":
            version = _find_object(answer, "result").get("protocolVersion")
            session = response.headers.get("Mcp-Session-Id")
            found = {"MCP-Protocol-Version": version, "Mcp-Session-Id": session}
            self._handshake = {name: str(value) for name, value in found.items() if value}
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        """Return the connection of this thread, which opens itself where it is closed."""
        connection: http.client.HTTPConnection | None
        connection = getattr(self._of_thread, "connection", None)
        if connection is None:
            kind = http.client.HTTPSConnection if self._is_secure else http.client.HTTPConnection
            connection = self._of_thread.connection = kind(self._address, timeout=_TIMEOUT_S)
            self._connections.append(connection)
        elif connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            # No data is expected, so the service has closed it. A request that fails on it could
            # not be repeated, because its outcome would be unknown.
            connection.close()
        return connection

    def _find_headers(self, message: Json) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        params = _find_object(message, "params")
        version = _find_object(params, "_meta").get(META_VERSION)
        if version is None:
            return headers | self._handshake
        headers["MCP-Protocol-Version"] = _encode(version)
        headers["Mcp-Method"] = _encode(message.get("method"))
        name = params.get(NAMED.get(str(message.get("method")), ""))
        if name is not None:
            headers["Mcp-Name"] = _encode(name)
        return headers


def _parse(text: bytes) -> Json:
    """Return an object; an empty one for anything else, which the service explains."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _find_object(value: Json, key: str) -> Json:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _encode(value: object) -> str:
    """Return the value of a header; a value that is not plain ASCII is encoded."""
    text = str(value)
    is_plain = text.isascii() and text.isprintable() and text == text.strip()
    if is_plain and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode(errors='replace')).decode()}?="


def _explain(status: int, problem: Json) -> str:
    """Return the text of a response that is not of the protocol: of the service or of a proxy."""
    text = problem.get("detail", "The response is not from the todo service; check TODO_URL.")
    return f"{text} (status {status}){_REMEDIES.get(status, '')}"


def _render_error(message: Json, text: str) -> Json | None:
    if message and "id" not in message:
        # A notification has no response.
        sys.stderr.write(f"{text}\n")
        return None
    error = {"code": _INTERNAL_ERROR, "message": text}
    return {"jsonrpc": "2.0", "id": message.get("id"), "error": error}


def main() -> int:
    """Run until the end of standard input; return the exit code."""
    token = os.environ.get("TODO_TOKEN", "")
    if not token or not token.isascii() or not token.isprintable():
        sys.stderr.write("TODO_TOKEN is missing or invalid: set it to a bearer token\n")
        return _USAGE
    try:
        bridge = Bridge(os.environ.get("TODO_URL", ""), token)
    except ValueError:
        sys.stderr.write(
            "TODO_URL is missing or invalid: set it to a URL such as http://127.0.0.1:8000\n"
        )
        return _USAGE
    try:
        bridge.run()
    except (BrokenPipeError, KeyboardInterrupt):
        return 1
    finally:
        bridge.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
