"""Messages of the page in a real browser when a request fails or others change the data."""

import contextlib
import http.client
import socket
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.users import read
from tests.integration.web.conftest import API, Site, Visitor

PREFIX = "/todo/here"


def sign_in_with(visitor: Visitor, **limits: Any) -> str:  # noqa: ANN401 - JSON
    """Sign in with an API token, and return its id."""
    scopes = ["delete", "read", "write"]
    made = visitor.create("tokens", **{"name": "narrow", "scopes": scopes, **limits})
    visitor.visit()
    visitor.browser.fill("#token", made["token"])
    visitor.browser.click("#sign-in-form .primary")
    visitor.wait("!document.querySelector('#tasks').hidden")
    return str(made["id"])


def add(visitor: Visitor, text: str) -> None:
    visitor.browser.fill("#add", text)
    visitor.browser.press("Enter", 13, "\r")


def test_a_token_that_ends_leads_back_to_the_sign_in(visitor: Visitor) -> None:
    visitor.create("tasks", title="Call the vet")
    token_id = sign_in_with(visitor)
    visitor.wait_for_text("#task-list", "Call the vet")
    visitor.http.delete(f"{API}/tokens/{token_id}").raise_for_status()

    visitor.browser.click("a[href='#runs']")

    visitor.wait_for_text("#error", "Sign in again.")
    assert visitor.browser.evaluate("document.activeElement.id") == "token"
    assert "Call the vet" not in visitor.browser.evaluate("document.documentElement.outerHTML")


def test_too_many_changes_are_refused_with_the_time_to_try_again(visitor: Visitor) -> None:
    sign_in_with(visitor, writes_per_hour=1)
    add(visitor, "first")
    visitor.wait_for_text("#notice", "Added: first")

    add(visitor, "second")

    visitor.wait_for_text("#error", "Try again in ")
    assert visitor.browser.evaluate("document.querySelector('#add').value") == "second"


def test_what_a_token_may_not_do_is_said(visitor: Visitor) -> None:
    sign_in_with(visitor, scopes=["read"])

    add(visitor, "first")

    visitor.wait_for_text("#error", "write")
    assert not visitor.browser.evaluate("document.querySelector('#tasks').hidden")


def test_a_lost_connection_is_said_and_what_was_missed_appears(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.wait("!document.querySelector('#no-tasks').hidden")
    visitor.browser.cut_off(is_offline=True)
    try:
        # The stream of events of a page that was hidden begins anew.
        visitor.browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        visitor.wait_for_text("#connection", "Offline")
        add(visitor, "first")
        visitor.wait_for_text("#error", "The service cannot be reached.")
        visitor.create("tasks", title="Meanwhile")
    finally:
        visitor.browser.cut_off(is_offline=False)

    visitor.wait_for_text("#task-list", "Meanwhile")
    visitor.wait("document.querySelector('#connection').innerText === ''")
    assert visitor.read_texts("#error") == [""]


@pytest.mark.parametrize(
    ("refusal", "waits_s"),
    [("{status: 403}", []), ("{status: 429, headers: {'Retry-After': '60'}}", [60])],
)
def test_a_refused_stream_of_changes_is_not_asked_for_before_that_helps(
    visitor: Visitor, refusal: str, waits_s: list[int]
) -> None:
    visitor.sign_in()
    visitor.browser.evaluate(
        "window.asked = 0; window.waits = [];"
        "window.setTimeout = (_, wait) => waits.push(wait / 1000);"
        f"window.fetch = async () => (asked += 1, new Response('{{}}', {refusal}));"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )

    visitor.wait("asked === 1")

    assert visitor.browser.evaluate("waits") == waits_s


def test_runs_in_a_list_that_somebody_shares_are_shown_and_undone(visitor: Visitor) -> None:
    user = f"bob-{uuid.uuid4()}"
    headers = {"Authorization": f"Bearer {visitor.site.service.token(user)}"}
    with httpx.Client(base_url=f"{visitor.site.origin}{API}/", headers=headers) as bob:
        home = read(bob.post("lists", json={"name": "Home"}), 201)
        alice = read(visitor.http.get(f"{API}/me"))["user"]
        read(bob.put(f"lists/{home['id']}/shares/{alice}", json={"access": "write"}))
        task = {"title": "From an agent", "list_id": home["id"]}
        read(bob.post("tasks", json=task, headers={"X-Run-Id": "bobs-7"}), 201)
    visitor.sign_in()
    visitor.browser.click("a[href='#runs']")
    visitor.wait("!document.querySelector('#no-runs').hidden")

    visitor.browser.evaluate(f"document.querySelector('#journal').value = {home['id']!r}")
    visitor.browser.evaluate(
        "document.querySelector('#journal').dispatchEvent(new Event('change'))"
    )
    visitor.wait_for_text("#run-list", "bobs-7")
    assert f"by {user}" in visitor.read_texts("#run-list > li")[0]
    visitor.browser.click("#run-list button[id$=undo]")

    visitor.wait_for_text("#notice", "Undone: 1 change.")
    assert read(visitor.http.get(f"{API}/tasks", params={"list": home["id"]}))["items"] == []


@pytest.mark.parametrize("path", ["me", "tags", "tasks", "lists"])
def test_a_browser_keeps_the_answers_to_two_people_apart(visitor: Visitor, path: str) -> None:
    bob = f"bob-{uuid.uuid4()}"
    other = visitor.site.service.token(bob)
    for token in (visitor.token, other):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"{visitor.site.origin}{API}/", headers=headers) as http:
            # The same number of changes: the same entity tag, where that is the tag.
            task = {"title": token[-9:], "tags": [token[-9:]]}
            read(http.post("tasks", json=task), 201)
            read(http.post("lists", json={"name": token[-9:]}), 201)
    visitor.visit()

    found = [
        visitor.browser.wait_for_promise(
            f"fetch('api/v1/{path}', {{headers: {{Authorization: 'Bearer {token}'}}}})"
            ".then((answer) => answer.text())"
        )
        for token in (visitor.token, other)
    ]

    assert (bob if path == "me" else other[-9:]) in found[1]


@pytest.fixture
def prefixed(site: Site) -> Iterator[str]:
    """The address of the service behind a proxy that adds a prefix to each path."""
    backend = urlsplit(site.origin).netloc

    connections: list[http.client.HTTPConnection] = []

    class Proxy(BaseHTTPRequestHandler):
        def forward(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = http.client.HTTPConnection(backend, timeout=120)
            connections.append(connection)
            path = self.path.removeprefix(PREFIX)
            # A browser that leaves ends its stream of events.
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.request(self.command, path, body, dict(self.headers))
                self.pass_on(connection.getresponse())

        def pass_on(self, answer: http.client.HTTPResponse) -> None:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() != "transfer-encoding":
                    self.send_header(name, value)
            self.end_headers()
            while part := answer.read1(65536):
                self.wfile.write(part)

        do_GET = do_POST = forward  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()
        thread.join()
        for connection in connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)


def test_the_page_works_below_the_prefix_of_a_proxy(visitor: Visitor, prefixed: str) -> None:
    visitor.browser.requested.clear()
    visitor.sign_in(at=prefixed)

    add(visitor, "Water the plants tomorrow")

    visitor.wait_for_text("#task-list", "Water the plants")
    asked = {url for url in visitor.browser.requested if url.startswith("http")}
    assert {url.startswith(f"{prefixed}/") for url in asked} == {True}
    assert visitor.browser.complaints == []
