"""`python3 -m todo.mcp`: bridge from standard input and output to MCP, for clients without HTTP.

It sends each message to the MCP endpoint of the service at TODO_URL, with the token in TODO_TOKEN.
Only the standard library is imported, so this file also runs without the package.
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
# The service's own limits are shorter.
_TIMEOUT_S = 120
_INTERNAL_ERROR = -32603
_USAGE = 64
_REMEDIES = {401: " Check TODO_TOKEN.", 404: " Check TODO_URL."}

Json = dict[str, Any]


class Bridge:
    """Bridge from standard input and output to the MCP endpoint, with concurrent requests."""

    def __init__(self, url: str, token: str) -> None:
        """Parse the URL of the service, with or without the MCP path, or raise a ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii():
            raise ValueError(url)
        self._is_secure = parts.scheme == "https"
        self._address = parts.netloc.rpartition("@")[2]
        self._path = f"{parts.path.rstrip('/').removesuffix('/mcp')}/mcp"
        self._url = f"{parts.scheme}://{self._address}{self._path}"
        self._token = token
        # Headers from the handshake, which HTTP clients repeat with each request.
        self._handshake: dict[str, str] = {}
        # Request IDs as JSON, because a client may send any value.
        self._pending: Counter[str] = Counter()
        self._cancelled: set[str] = set()
        self._output = threading.Lock()
        # Each thread keeps its own connection.
        self._of_thread = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def run(self) -> None:
        """Forward each line of standard input until it ends."""
        with ThreadPoolExecutor(_CONCURRENT) as pool:
            for line in filter(bytes.strip, sys.stdin.buffer):
                message = _parse(line)
                if message.get("method") == "notifications/cancelled":
                    self._cancel(_find_object(message, "params").get("requestId"))
                    continue
                with self._output:
                    self._pending[json.dumps(message.get("id"))] += 1
                if message.get("method") == "initialize":
                    # Later messages need the headers from its response.
                    self.pass_on(line, message)
                else:
                    pool.submit(self.pass_on, line, message)

    def close(self) -> None:
        """Close all connections to the service."""
        for connection in self._connections:
            connection.close()

    def _cancel(self, request_id: object) -> None:
        key = json.dumps(request_id)
        with self._output:
            if key in self._pending:
                self._cancelled.add(key)

    def pass_on(self, line: bytes, message: Json) -> None:
        """Send a message and write its response, unless the client has cancelled the request."""
        try:
            answer = self.send(line, message)
        # Without a response, the client would wait forever.
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
        """Send a message and return its response; None if there is nothing to write."""
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
            # No client waits for the response to a message without an ID.
            return _render_error(message, _find_object(answer, "error").get("message", ""))
        if "jsonrpc" not in answer:
            return _render_error(message, _explain(response.status, answer))
        if answer.get("id") is None and "id" in message:
            # The service could not parse the message; the client waits for a response with its ID.
            answer["id"] = message["id"]
        if message.get("method") == "initialize":
            version = _find_object(answer, "result").get("protocolVersion")
            session = response.headers.get("Mcp-Session-Id")
            found = {"MCP-Protocol-Version": version, "Mcp-Session-Id": session}
            self._handshake = {name: str(value) for name, value in found.items() if value}
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        """Return the connection of this thread; the next request reopens a closed one."""
        connection: http.client.HTTPConnection | None
        connection = getattr(self._of_thread, "connection", None)
        if connection is None:
            kind = http.client.HTTPSConnection if self._is_secure else http.client.HTTPConnection
            connection = self._of_thread.connection = kind(self._address, timeout=_TIMEOUT_S)
            self._connections.append(connection)
        elif connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            # No data is expected, so the service has closed the connection. A request that fails
            # on it could not be repeated, because its outcome would be unknown.
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
    """Return the JSON object in a text, or an empty one if the text is anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _find_object(value: Json, key: str) -> Json:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _encode(value: object) -> str:
    """Return a header value; anything but printable ASCII is encoded as Base64."""
    text = str(value)
    is_plain = text.isascii() and text.isprintable() and text == text.strip()
    if is_plain and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode(errors='replace')).decode()}?="


def _explain(status: int, problem: Json) -> str:
    """Return the error text for a response that is not JSON-RPC, such as one of a proxy."""
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
    """Run the bridge until standard input ends, and return the exit code."""
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
