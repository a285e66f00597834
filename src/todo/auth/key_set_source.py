"""Sources of a key set: a URL, or a file for backends without network access."""

import asyncio
import functools
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import h11

from todo.auth.key_set import MAX_BYTES, KeySet, select_keys
from todo.config.settings import Settings
from todo.core.exit import ExitCode, FatalError

# Timeout for the whole fetch, from name resolution to the last byte.
_TIMEOUT_S = 5.0
_MAX_HEADER_BYTES = 16 * 1024
_CHUNK_BYTES = 16 * 1024
# Freshness without a Cache-Control header, and the bounds for that header: a withdrawn key is
# accepted for at most a day, and the source is not queried too often.
_FRESH_S = 300.0
_MIN_FRESH_S = 60.0
_MAX_FRESH_S = 86_400.0
_FILE_FRESH_S = 60.0
_MAX_AGE = re.compile(rb"(?:^|[\s,])max-age=\"?(\d{1,9})", re.IGNORECASE)


def open_key_set(settings: Settings) -> KeySet | None:
    """Return the configured key set, or None.

    Raises:
        FatalError: The file is missing or unreadable, or has no usable key.
    """
    refetch_s = settings.jwks_refetch_s
    if settings.jwks_url:
        return KeySet(functools.partial(fetch_url, settings.jwks_url), refetch_s=refetch_s)
    if settings.jwks_file is None:
        return None
    path = settings.jwks_file
    try:
        select_keys(_read(path))
    except OSError as error:
        message = f"TODO_JWKS_FILE cannot be read ({error.strerror}: {path})"
        raise FatalError(ExitCode.SECRET, message) from None
    except ValueError as error:
        message = f"TODO_JWKS_FILE is not usable ({path}): {error}"
        raise FatalError(ExitCode.SECRET, message) from None
    return KeySet(functools.partial(fetch_file, path), refetch_s=refetch_s)


async def fetch_file(path: Path) -> tuple[bytes, float]:
    """Read a key set; it is fresh only briefly, so that a replaced file takes effect."""
    return _read(path), _FILE_FRESH_S


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        # One byte more than allowed reveals a file that is too large.
        return file.read(MAX_BYTES + 1)


async def fetch_url(url: str) -> tuple[bytes, float]:
    """Fetch a key set; return it with the seconds for which it is fresh.

    Redirects and proxies are ignored, because the keys must come from the configured URL.

    Raises:
        OSError: The server could not be reached in time.
        ValueError: The response is missing, invalid or too large, or its status code is not 200.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    async with asyncio.timeout(_TIMEOUT_S):
        reader, writer = await asyncio.open_connection(
            parts.hostname,
            parts.port or (443 if secure else 80),
            ssl=_tls() if secure else None,
        )
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            return await _fetch(reader, writer, host=parts.netloc, target=target)
        except h11.RemoteProtocolError:
            raise ValueError("the response is not valid HTTP") from None
        finally:
            writer.transport.abort()


async def _fetch(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, host: str, target: str
) -> tuple[bytes, float]:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEADER_BYTES)
    headers = [
        ("Host", host),
        ("Accept", "application/jwk-set+json, application/json"),
        ("User-Agent", "todo-backend"),
        ("Connection", "close"),
    ]
    request = h11.Request(method="GET", target=target, headers=headers)
    writer.write(connection.send(request) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    body = bytearray()
    fresh_s = _FRESH_S
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK_BYTES))
        elif isinstance(event, h11.Response):
            if event.status_code != 200:  # noqa: PLR2004
                raise ValueError(f"the response has status {event.status_code}")
            fresh_s = find_freshness(event.headers.raw_items(), fresh_s)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BYTES:
                raise ValueError(f"the response has more than {MAX_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body), fresh_s
        elif isinstance(event, h11.ConnectionClosed):
            raise ValueError("no response was received")


def find_freshness(headers: list[tuple[bytes, bytes]], default_s: float) -> float:
    """Return the freshness in seconds from `Cache-Control`, within bounds."""
    for name, value in headers:
        if name.lower() == b"cache-control" and (match := _MAX_AGE.search(value)):
            return min(max(float(match[1]), _MIN_FRESH_S), _MAX_FRESH_S)
    return default_s


@functools.cache
def _tls() -> ssl.SSLContext:
    # Loads the system's certificate authorities, or those of SSL_CERT_FILE.
    return ssl.create_default_context()
