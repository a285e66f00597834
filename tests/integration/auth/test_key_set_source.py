"""Fetching a key set from servers that are not as they should be."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.machine_clock import CLOCK
from todo.auth import key_set_source
from todo.auth.key_set import MAX_BYTES
from todo.auth.key_set_source import fetch_url, find_freshness

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"


@contextlib.asynccontextmanager
async def serve(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """URL of a local server that sends the given response on each connection."""

    tasks = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                await talk(reader, writer)
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/jwks"
    finally:
        server.close()
        for task in filter(None, tasks):
            task.cancel()
            await asyncio.wait({task})
        # Transports close in a turn of the loop of their own.
        await asyncio.sleep(0.05)


def fetch(*parts: bytes, pause_s: float = 0.0, tls: ssl.SSLContext | None = None) -> bytes:
    """Fetch from a server that sends these parts and closes."""

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)

    async def run() -> bytes:
        async with serve(talk, tls) as url:
            return (await fetch_url(url))[0]

    return asyncio.run(run())


def test_a_body_may_come_in_chunks_or_until_the_end() -> None:
    assert fetch(OK, b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n") == b"{}"
    assert fetch(OK, b"\r\n", b"{", b"}") == b"{}"
    assert fetch(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK, b"Content-Length: 2\r\n\r\n{}") == b"{}"


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "302",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        (OK + b"Content-Length: 999999\r\n\r\n" + b" " * (MAX_BYTES + 1), "more than"),
        (OK + b"Content-Length: 9\r\n\r\n{}", "not valid HTTP"),
        (OK + b"X: " + b"x" * 70_000, "not valid HTTP"),
        (b"hello\r\n\r\n", "not valid HTTP"),
        (b"", "not valid HTTP"),
    ],
)
def test_an_answer_that_is_not_the_key_set_is_refused(sent: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        fetch(sent)


def test_the_whole_fetch_has_one_limit_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_set_source, "_TIMEOUT_S", 0.3)
    began = CLOCK.now()

    with pytest.raises(TimeoutError):
        fetch(OK, b"Content-Length: 100\r\n\r\n", *([b" "] * 100), pause_s=0.1)

    assert CLOCK.now() - began < 2


def test_nobody_there_is_an_error_at_once() -> None:
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        asyncio.run(fetch_url("http://127.0.0.1:1/jwks"))


def make_certificate(folder: Path) -> Path:
    """A certificate of its own authority, with its key, for this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "login")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "login.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def test_the_server_must_be_one_that_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    sent = OK + b"Content-Length: 2\r\n\r\n{}"
    key_set_source._tls.cache_clear()  # noqa: SLF001
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(sent, tls=server)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        key_set_source._tls.cache_clear()  # noqa: SLF001
        assert fetch(sent, tls=server) == b"{}"
    finally:
        key_set_source._tls.cache_clear()  # noqa: SLF001


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"max-age=600", 600),
        (b"public, Max-Age=600, must-revalidate", 600),
        (b"max-age=0", 60),
        (b"max-age=99999999", 86_400),
        (b"s-maxage=600", 300),
        (b"no-store", 300),
        (b"max-age=soon", 300),
    ],
)
def test_freshness_is_what_the_source_says_within_bounds(value: bytes, seconds: float) -> None:
    assert find_freshness([(b"Cache-Control", value)], 300) == seconds
