"""The interactive documentation: what is sent, and what a browser makes of it."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.browser import Browser, open_browser
from tests.integration.service import Service, open_service

PAGE = "/docs"
PARTS = ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js")


@pytest.fixture
def client(sqlite_service: Service) -> Iterator[httpx.Client]:
    with sqlite_service.client() as client:
        yield client


def test_the_page_allows_scripts_and_styles_from_this_service_alone(client: httpx.Client) -> None:
    page = client.get(PAGE)
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )

    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'",) * 3
    assert "unsafe" not in page.headers["content-security-policy"]


def test_the_page_holds_no_inline_script_or_style_and_no_outside_address(
    client: httpx.Client,
) -> None:
    text = client.get(PAGE).text

    assert re.findall(r"<script[^>]*>([^<]+)</script>|<style|\sstyle=|\son\w+=", text) == []
    assert "//" not in text
    loaded = {f"/{found}" for found in re.findall(r'(?:src|href)="(docs/[^"]+)"', text)}
    assert loaded == set(PARTS)


@pytest.mark.parametrize("path", [PAGE, *PARTS])
def test_the_page_and_its_parts_are_there_without_a_token(client: httpx.Client, path: str) -> None:
    answer, head = client.get(path), client.head(path)

    assert (answer.status_code, head.status_code) == (200, 200)
    assert head.headers["content-length"] == str(len(answer.content))
    kind = {"": "html", ".css": "css", ".js": "javascript"}[Path(path).suffix]
    assert answer.headers["content-type"] == f"text/{kind}; charset=utf-8"


@pytest.mark.parametrize("path", ["/docs/LICENSE", "/docs/..%2fredoc", "/docs/", "/redoc"])
def test_nothing_else_is_sent(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.fixture(scope="module")
def reachable() -> Iterator[tuple[str, str]]:
    """URL of a service for a browser, and a token."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with open_service({}, inherited=[listener]) as service:
            service.wait_ready()
            yield f"http://127.0.0.1:{port}", service.token()


@pytest.fixture(scope="module")
def browser(reachable: tuple[str, str]) -> Iterator[Browser]:
    with open_browser() as browser:
        browser.open(f"{reachable[0]}{PAGE}")
        yield browser


def test_a_browser_shows_every_operation_under_that_policy(
    browser: Browser, reachable: tuple[str, str]
) -> None:
    origin, _token = reachable
    described = httpx.get(f"{origin}/openapi.json").json()["paths"]
    operations = sum(len(methods) for methods in described.values())

    browser.wait_for(f"document.querySelectorAll('.opblock').length === {operations}")

    assert browser.complaints == []
    assert {url.startswith((f"{origin}/", "data:")) for url in browser.requested} == {True}


def test_a_browser_can_try_an_operation(browser: Browser, reachable: tuple[str, str]) -> None:
    browser.click(".btn.authorize")
    browser.fill(".modal-ux input", reachable[1])
    browser.click(".modal-ux .authorize[type=submit]")
    browser.click(".modal-ux .btn-done")
    list_tasks = "[id^=operations-tasks-list_tasks]"
    browser.click(f"{list_tasks} .opblock-summary-control")
    browser.click(f"{list_tasks} .try-out__btn")
    browser.click(f"{list_tasks} .execute")

    answer = f"{list_tasks} .live-responses-table"
    browser.wait_for(f"document.querySelector({json.dumps(answer)}) !== null")
    text = browser.evaluate(f"document.querySelector({json.dumps(answer)}).innerText")
    assert "200" in text
    assert '"items": []' in text
    assert browser.complaints == []


def test_a_browser_shows_the_named_examples_of_a_body(browser: Browser) -> None:
    create = "[id^=operations-tasks-create_task]"
    browser.click(f"{create} .opblock-summary-control")

    browser.wait_for(f"document.querySelector('{create} .examples-select-element') !== null")
    names = browser.evaluate(
        f"[...document.querySelectorAll('{create} .examples-select-element option')]"
        ".map(each => each.innerText).join()"
    )
    assert "A subtask" in names
    body = browser.evaluate(f"document.querySelector('{create} .body-param__example').innerText")
    assert "Water the plants" in body
    assert browser.complaints == []


def test_that_policy_refuses_a_script_that_somebody_slips_in(reachable: tuple[str, str]) -> None:
    with open_browser() as browser:
        browser.open(f"{reachable[0]}{PAGE}")
        browser.wait_for("document.querySelector('.opblock') !== null")
        browser.evaluate("document.body.append(document.createElement('script'))")
        browser.evaluate("document.querySelector('body > script').text = 'window.bad = true'")

        assert browser.evaluate("window.bad") is None
        assert any("script-src 'self'" in complaint for complaint in browser.complaints)
