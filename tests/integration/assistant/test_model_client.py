"""Connections to a model server: sockets, certificates, the key."""

import logging
import socket
import ssl
from pathlib import Path

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.client_use import HANGS_S, ask, make_settings
from tests.integration.assistant.model_server import ModelServer, open_model_server
from tests.integration.certificates import Authority


def test_a_server_that_is_absent_or_refuses_connections_is_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    for url in (
        f"unix:{tmp_path}/absent.sock",
        f"http://127.0.0.1:{port}/v1",
        "https://999.1.1.1/v1",
        "https://xn--a/v1",
    ):
        assert ask(make_settings(url)).reason == "unreachable"


def test_a_unix_socket_works_as_well(tmp_path: Path) -> None:
    with open_model_server(tmp_path / "model.sock") as model:
        model.follow(server.say("Hello there"))

        assert ask(make_settings(model.url)).text == "Hello there"
        assert model.heads[0].startswith("POST /v1/chat/completions HTTP/1.1")


def test_the_certificate_is_verified_with_what_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority("the operator's own")
    certificate, key, trusted = (tmp_path / name for name in ("certificate", "key", "trusted"))
    authority.issue("localhost", certificate, key)
    trusted.write_bytes(authority.certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with open_model_server(tls=tls) as model:
        model.follow(server.say("Hello there"))
        stranger = ask(make_settings(model.url))
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        known = ask(make_settings(model.url))

    assert (stranger.reason, known.text) == ("unreachable", "Hello there")
    assert "CERTIFICATE_VERIFY_FAILED" in str(stranger)


def test_a_server_that_does_not_finish_the_handshake_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"

        assert ask(make_settings(url, ai_connect_timeout_s=HANGS_S)).reason == "unreachable"


def test_the_key_is_sent_and_never_logged(
    model: ModelServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "key"
    key.write_text("sk-sesame\n")
    body = b'{"error": {"message": "wrong key sk-sesame for hello", "type": "invalid_api_key"}}'
    model.follow(server.respond("401 Unauthorized", body))

    with caplog.at_level(logging.INFO):
        found = ask(make_settings(model.url, ai_key_file=key))

    assert "Authorization: Bearer sk-sesame" in model.heads[0]
    assert "invalid_api_key" in caplog.text
    assert "sesame" not in f"{caplog.text} {found!r} {found}"
    assert "hello" not in caplog.text


def test_no_proxy_of_the_environment_is_used(
    model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    model.follow(server.say("Hello there"))

    assert getattr(ask(make_settings(model.url)), "text", "") == "Hello there"
