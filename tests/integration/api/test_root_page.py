"""The root of the service: a page for browsers, JSON for programs."""

import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.browser import open_browser
from tests.integration.service import Service, open_service
from todo import __version__

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def client(sqlite_service: Service) -> Iterator[httpx.Client]:
    with sqlite_service.client() as client:
        yield client


def test_a_program_gets_name_version_and_links_that_work(client: httpx.Client) -> None:
    answer = client.get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    assert (found["name"], found["version"]) == ("Todo backend", __version__)
    links = {name: answer.url.join(link) for name, link in found["links"].items()}
    assert client.get(links["docs"]).headers["content-type"].startswith("text/html")
    assert client.get(links["openapi"]).json()["info"]["version"] == __version__
    assert client.get(links["health"]).json() == {"status": "ok"}
    assert client.get(links["api"].join("tasks")).status_code == 401


def test_a_browser_gets_a_page_with_the_version(client: httpx.Client) -> None:
    answer = client.get("/", headers=HTML)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f"Version {__version__}" in answer.text


def test_the_page_allows_its_own_style_only(client: httpx.Client) -> None:
    answer = client.get("/", headers=HTML)

    policy = answer.headers["content-security-policy"]
    assert re.search(r"default-src 'none'; style-src 'sha256-[^']+'; img-src data:; ", policy)
    assert "unsafe" not in policy
    assert "script" not in policy
    assert "<script" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("headers", [{}, HTML])
def test_caches_ask_again_and_keep_page_and_json_apart(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    answer, head = client.get("/", headers=headers), client.head("/", headers=headers)

    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-cache", "Accept")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "vary", "cache-control"):
        assert head.headers[name] == answer.headers[name]


def test_another_method_is_refused(client: httpx.Client) -> None:
    answer = client.post("/", json={})

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_browser_shows_the_page_in_both_color_schemes_and_its_links_work() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        open_service({}, inherited=[listener]) as service,
        open_browser() as browser,
    ):
        service.wait_ready()
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        shown = {
            "docs": "document.querySelector('.opblock') !== null",
            "openapi.json": "document.body.innerText.includes('/api/v1/tasks')",
            "health": """document.body.innerText.includes('"status":"ok"')""",
        }
        for link, expected in shown.items():
            browser.open(f"{origin}/")
            browser.wait_for("document.querySelector('h1')?.innerText === 'Todo backend'")
            # The style applies: the policy has its hash.
            assert browser.evaluate("getComputedStyle(document.body).maxWidth") == "640px"
            scheme = browser.evaluate("document.querySelector('[name=color-scheme]').content")
            assert scheme == "light dark"
            assert browser.complaints == []
            browser.click(f'a[href="{link}"]')
            browser.wait_for(expected)
            assert browser.evaluate("location.href") == f"{origin}/{link}"
