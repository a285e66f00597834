"""The page `/app` as it is sent: its policy, its size, its caching."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.service import Service

PAGE = "/app"
PARTS = ("/app/app.js", "/app/app.css")
MAX_BYTES = 60_000


@pytest.fixture
def client(sqlite_service: Service) -> Iterator[httpx.Client]:
    with sqlite_service.client() as client:
        yield client


def test_the_policy_allows_only_the_script_the_style_and_requests_to_this_service(
    client: httpx.Client,
) -> None:
    policy = dict(
        part.split(" ", 1)
        for part in client.get(PAGE).headers["content-security-policy"].split("; ")
    )

    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_page_has_no_inline_script_or_style_and_no_outside_address(
    client: httpx.Client,
) -> None:
    page = client.get(PAGE).text

    assert re.findall(r"<script[^>]*>([^<]+)</script>|<style|\sstyle=|\son\w+=", page) == []
    assert {f"/{each}" for each in re.findall(r'(?:src|href)="(app/[^"]+)"', page)} == set(PARTS)
    for path in (PAGE, *PARTS):
        assert "://" not in client.get(path).text


def test_the_script_makes_no_html_of_texts(client: httpx.Client) -> None:
    script = client.get(PARTS[0]).text

    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert way not in script


def test_page_script_and_style_sheet_are_small(client: httpx.Client) -> None:
    assert sum(len(client.get(path).content) for path in (PAGE, *PARTS)) < MAX_BYTES


@pytest.mark.parametrize("path", [PAGE, *PARTS])
def test_a_browser_asks_again_and_gets_only_what_has_changed(
    client: httpx.Client, path: str
) -> None:
    answer, head = client.get(path), client.head(path)
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})

    kind = {"": "html", ".css": "css", ".js": "javascript"}[Path(path).suffix]
    assert answer.headers["content-type"] == f"text/{kind}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert head.headers["content-length"] == str(len(answer.content))
    # A browser replaces the policy that it has stored by that of the 304.
    for name in ("etag", "cache-control", "content-security-policy"):
        assert head.headers[name] == again.headers[name] == answer.headers[name]
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/app/page.html", "/app/router.py", "/app/..%2fapp.py", "/app/__init__.py", "/app//"]
)
def test_nothing_else_is_sent(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_address_with_a_slash_leads_to_the_page(client: httpx.Client) -> None:
    answer = client.get(f"{PAGE}/")

    assert (answer.status_code, answer.headers["location"]) == (308, "../app")
    assert client.get(f"{PAGE}/", follow_redirects=True).text == client.get(PAGE).text
