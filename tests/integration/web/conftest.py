"""A service that a browser reaches, a browser, and people with agents."""

import contextlib
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.integration.browser import Browser, open_browser
from tests.integration.service import Service, open_service
from tests.integration.users import read

API = "/api/v1"


@dataclass(frozen=True)
class Site:
    """A service on a port, as browsers need it."""

    service: Service
    origin: str


@dataclass(frozen=True)
class Visitor:
    """A person with a browser."""

    site: Site
    browser: Browser
    token: str
    http: httpx.Client

    def create(self, path: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Create something by a request."""
        return read(self.http.post(f"{API}/{path}", json=fields), 201)

    def open_agent(self, run_id: str, **fields: Any) -> httpx.Client:  # noqa: ANN401 - JSON
        """Return a client with a token for an agent; the caller closes it."""
        scopes = ["delete", "read", "write"]
        made = self.create("tokens", name="nightly cleanup", scopes=scopes, **fields)
        headers = {"Authorization": f"Bearer {made['token']}", "X-Run-Id": run_id}
        return httpx.Client(base_url=self.site.origin, headers=headers, timeout=120)

    def visit(self, *, at: str = "") -> None:
        """Open the page, at another address if given."""
        self.browser.open("about:blank")
        self.browser.complaints.clear()
        self.browser.requested.clear()
        self.browser.open(f"{at or self.site.origin}/app")
        self.wait("document.activeElement?.id === 'token'")

    def sign_in(self, *, at: str = "") -> None:
        """Open the page and sign in."""
        self.visit(at=at)
        self.browser.fill("#token", self.token)
        self.browser.click("#sign-in-form .primary")
        self.wait("!document.querySelector('#tasks').hidden")

    def wait(self, expression: str) -> Any:  # noqa: ANN401 - whatever JavaScript has
        """Wait until an expression is true."""
        return self.browser.wait_for(expression)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element has a text."""
        self.wait(f"document.querySelector({selector!r})?.innerText.includes({text!r})")

    def read_texts(self, selector: str) -> list[str]:
        """Return what people see in some elements."""
        found: list[str] = self.browser.evaluate(
            f"[...document.querySelectorAll({selector!r})].map((each) => each.innerText)"
        )
        return found


def tasks_of(visitor: Visitor, **query: str) -> list[dict[str, Any]]:
    """Return the tasks of a person."""
    found: list[dict[str, Any]] = read(visitor.http.get(f"{API}/tasks", params=query))["items"]
    return found


@contextlib.contextmanager
def open_site(**options: str) -> Iterator[Site]:
    """Run a service with these options on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with open_service(options, inherited=[listener]) as service:
            service.wait_ready()
            yield Site(service, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def visitor(site: Site, browser: Browser) -> Iterator[Visitor]:
    token = site.service.token(f"alice-{uuid.uuid4()}", lifetime_s=86_400)
    headers = {"Authorization": f"Bearer {token}"}
    browser.set_window(1024, 800)
    browser.prefer(prefers_color_scheme="light")
    with httpx.Client(base_url=site.origin, headers=headers, timeout=120) as http:
        yield Visitor(site, browser, token, http)
        # A page that stays open would keep a stream of events.
        browser.open("about:blank")
