"""The root of the service: which clients get the page, and where its links lead."""

import re
from urllib.parse import urljoin

import pytest

from todo.api.accept import prefers
from todo.api.root_page import _PAGE

CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;"
    "q=0.8,application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    "accept",
    [
        [CHROMIUM],
        [FIREFOX],
        ["text/html"],
        ["TEXT/HTML; charset=utf-8"],
        ["text/*"],
        ["application/json;q=0.5, text/html;q=0.6"],
        ["application/json; Q=0.5", "*/*"],
        ["image/png", "text/html"],
    ],
)
def test_a_client_that_prefers_html_gets_the_page(accept: list[str]) -> None:
    assert prefers("text/html", accept)


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [""],
        ["*/*"],
        ["application/json"],
        ["application/json, text/html"],
        ["application/json, text/html;q=0.9, */*;q=0.1"],
        ["text/html;q=0, */*"],
        ["text/html;q=much"],
        ["image/png"],
        [",;,=;q"],
    ],
)
def test_every_other_client_gets_json(accept: list[str]) -> None:
    assert not prefers("text/html", accept)


def test_links_lead_below_the_prefix_of_a_proxy() -> None:
    links = re.findall(r'href="([^"]+)"', _PAGE)

    found = {urljoin("https://todo.example/prefix/", link) for link in links if "," not in link}
    names = ("app", "docs", "openapi.json", "health")
    assert found == {f"https://todo.example/prefix/{name}" for name in names}
