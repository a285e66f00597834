"""Signing in and out on the page, in a real browser."""

from tests.integration.users import read
from tests.integration.web.conftest import API, Visitor


def test_a_token_signs_in_and_is_forgotten_on_sign_out(visitor: Visitor) -> None:
    visitor.create("tasks", title="Call the vet")
    visitor.sign_in()
    visitor.wait_for_text("#task-list", "Call the vet")
    assert visitor.read_texts("#user") == [read(visitor.http.get(f"{API}/me"))["user"]]
    assert visitor.browser.evaluate("location.href").endswith("/app")
    assert visitor.browser.evaluate("sessionStorage.length + localStorage.length") == 0

    visitor.browser.click("#sign-out")

    visitor.wait("document.activeElement?.id === 'token'")
    page = visitor.browser.evaluate("document.documentElement.outerHTML")
    assert "Call the vet" not in page
    assert visitor.token not in page
    assert visitor.browser.complaints == []
    assert {
        url.startswith((visitor.site.origin, "data:", "about:"))
        for url in visitor.browser.requested
    } == {True}
    assert not [url for url in visitor.browser.requested if visitor.token in url]


def test_a_token_stays_over_a_reload_only_if_the_person_chooses_that(visitor: Visitor) -> None:
    visitor.visit()
    visitor.browser.fill("#token", visitor.token)
    visitor.browser.click("#remember")
    visitor.browser.click("#sign-in-form .primary")
    visitor.wait("!document.querySelector('#tasks').hidden")
    visitor.browser.evaluate("window.isOld = true")
    visitor.browser.evaluate("location.reload()")
    visitor.wait("!window.isOld && document.querySelector('#tasks')?.hidden === false")

    visitor.browser.click("#sign-out")

    assert visitor.browser.evaluate("sessionStorage.length") == 0


def test_a_token_that_is_refused_leads_back_to_the_sign_in_with_the_reason(
    visitor: Visitor,
) -> None:
    visitor.visit()
    visitor.browser.fill("#token", f"{visitor.token}x")
    visitor.browser.click("#sign-in-form .primary")

    visitor.wait_for_text("#error", "Sign in again.")
    assert visitor.browser.evaluate("document.querySelector('#tasks').hidden")
    assert visitor.browser.evaluate("document.activeElement.id") == "token"
