"""Accessibility of the page: checked by axe-core, by keyboard only, and enlarged."""

import functools
import json
import re
from typing import Any

import pytest

from deploy.dev import suite_programs
from tests.integration.users import read
from tests.integration.web.conftest import API, Visitor

# Every rule of axe-core, those of good practice too; what it could not decide counts as found. It
# cannot see through the field to the marks behind it, which have a test of their own.
_JUDGE = """
axe.run({exclude: ['#mirror']}, {resultTypes: ['violations', 'incomplete']}).then((found) =>
  JSON.stringify([...found.violations, ...found.incomplete].map((each) =>
    [each.id, each.impact, ...each.nodes.map((node) => node.html)])))
"""
_COLORS = """
JSON.stringify([...document.querySelectorAll('#mirror mark, #mirror')].map((each) => [
  getComputedStyle(document.querySelector('#add')).color,
  getComputedStyle(each.id ? each.parentElement : each).backgroundColor]))
"""
SCHEMES = ("light", "dark")


@functools.cache
def load_axe() -> str:
    tools = suite_programs.find_web_tools()
    if tools is None:
        raise FileNotFoundError("not here: python3 build.py test integration fetches it")
    return (tools / "node_modules/axe-core/axe.min.js").read_text()


def judge(visitor: Visitor) -> list[Any]:
    """Return what axe-core finds on the page as it is."""
    visitor.browser.evaluate(load_axe())
    found: list[Any] = json.loads(visitor.browser.wait_for_promise(_JUDGE))
    return found


def fill_account(visitor: Visitor) -> None:
    """Make tasks, a list, and the run of an agent."""
    home = visitor.create("lists", name="Home")
    late = {"title": "Water the plants", "due_date": "2026-01-01", "tags": ["garden"]}
    task = visitor.create("tasks", **late, list_id=home["id"], priority="high")
    visitor.create("tasks", title="Call the vet")
    with visitor.open_agent("nightly-7", agent="broom/2") as agent:
        read(agent.patch(f"{API}/tasks/{task['id']}", json={"title": "Plants"}))


def open_views(visitor: Visitor) -> Any:  # noqa: ANN401 - a generator
    """Yield the name of each state of the page, once it is shown."""
    visitor.visit()
    yield "sign in"
    visitor.sign_in()
    visitor.browser.fill("#add", "dentist friday 5/6 p1 @health")
    visitor.wait("document.querySelectorAll('#questions button').length > 0")
    visitor.wait("document.querySelectorAll('#task-list > li').length === 2")
    yield "tasks"
    visitor.browser.click("[id^=edit-]")
    visitor.wait("document.querySelector('form.edit') !== null")
    yield "edit"
    visitor.browser.click("a[href='#runs']")
    visitor.browser.click("#run-list button[id$=toggle]")
    visitor.wait("document.querySelectorAll('.changes table').length === 1")
    yield "changes"
    visitor.browser.click("#run-list button[id$=undo]")
    visitor.wait_for_text("#run-list h3", "Undone")
    yield "undone"
    visitor.browser.click("a[href='#assistant']")
    visitor.browser.fill("#message", "delete call the vet")
    visitor.browser.click("#send")
    visitor.wait("document.querySelector('.plan') !== null")
    yield "plan"
    visitor.browser.click("#earlier summary")
    visitor.wait("document.querySelector('#conversation-list button') !== null")
    yield "earlier conversations"
    visitor.browser.click("#conversation-list [id^=delete-]")
    visitor.wait("document.activeElement.id.startsWith('keep-')")
    yield "question before a deletion"
    visitor.browser.click("#conversation-list [id^=confirm-]")
    visitor.wait("!document.querySelector('#no-conversations').hidden")
    yield "no conversations"
    visitor.browser.evaluate("location.hash = '#tasks'")
    visitor.browser.click("#task-list [id^=edit-]")
    visitor.browser.evaluate("document.querySelector('.edit [type=date]').value = ''")
    visitor.browser.evaluate("document.querySelector('.edit [type=time]').value = '10:00'")
    visitor.browser.click(".edit .primary")
    visitor.wait_for_text("#error", "A time needs a day.")
    # What is below the message has no contrast to judge.
    visitor.browser.evaluate("document.querySelector('.edit').scrollIntoView()")
    yield "error"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [1024, 320])
def test_axe_finds_nothing_in_any_view(visitor: Visitor, scheme: str, width: int) -> None:
    visitor.browser.prefer(prefers_color_scheme=scheme)
    visitor.browser.set_window(width, 900)
    fill_account(visitor)

    assert [(view, found) for view in open_views(visitor) if (found := judge(visitor))] == []
    assert visitor.browser.complaints == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_on_every_mark_is_readable(visitor: Visitor, scheme: str) -> None:
    visitor.browser.prefer(prefers_color_scheme=scheme)
    visitor.create("lists", name="Home")
    visitor.sign_in()
    visitor.browser.fill("#add", 'read "May" every friday 9am p1 @tag #home !30m')
    kinds = "new Set([...document.querySelectorAll('#mirror mark')].map((e) => e.className)).size"
    visitor.wait(f"{kinds} === 7")

    for text, back in json.loads(visitor.browser.evaluate(_COLORS)):
        assert find_contrast(text, back) >= 4.5, (text, back)


def find_contrast(one: str, other: str) -> float:
    """Return the contrast of two colors (WCAG 2.2, relative luminance)."""
    dark, light = sorted(find_luminance(each) for each in (one, other))
    return (light + 0.05) / (dark + 0.05)


def find_luminance(color: str) -> float:
    parts = [int(each) / 255 for each in re.findall(r"\d+", color)[:3]]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("width", "font"), [(320, "100%"), (640, "100%"), (640, "200%")])
def test_nothing_is_cut_off_on_narrow_windows_and_with_large_text(
    visitor: Visitor, width: int, font: str
) -> None:
    visitor.browser.set_window(width, 900)
    fill_account(visitor)

    for view in open_views(visitor):
        visitor.browser.evaluate(f"document.documentElement.style.fontSize = {font!r}")
        assert visitor.browser.evaluate("document.documentElement.scrollWidth") <= width, view


def press_until(visitor: Visitor, expression: str) -> None:
    """Press the tabulator until the focus is where it is wanted, and visible everywhere."""
    for _ in range(40):
        visitor.browser.press("Tab", 9)
        # Between the last and the first element, the focus is on the page itself.
        style = (
            "document.activeElement === document.body || getComputedStyle(document.activeElement)"
        )
        assert visitor.browser.evaluate(f"({style}).outlineStyle ?? 'solid'") == "solid"
        if visitor.browser.evaluate(expression):
            return
    raise AssertionError(expression)


def test_a_keyboard_is_enough(visitor: Visitor) -> None:
    task = visitor.create("tasks", title="Water the plants")
    visitor.visit()
    visitor.browser.fill("#token", visitor.token)
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait("document.activeElement?.id === 'tasks-title'")
    visitor.wait_for_text("#task-list", "Water the plants")

    press_until(visitor, f"document.activeElement.id === 'edit-{task['id']}'")
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait("document.activeElement?.value === 'Water the plants'")
    visitor.browser.press("Escape", 27)
    visitor.wait(f"document.activeElement?.id === 'edit-{task['id']}'")
    press_until(visitor, f"document.activeElement.id === 'delete-{task['id']}'")
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait("document.activeElement?.id === 'undo'")
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait_for_text("#task-list", "Water the plants")
    # No trap: it goes round the whole page.
    press_until(visitor, "document.activeElement.hash === '#runs'")
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait("document.activeElement?.id === 'runs-title'")
    assert visitor.browser.complaints == []


def test_what_happens_is_said_to_screen_readers(visitor: Visitor) -> None:
    visitor.sign_in()

    roles = {
        name: visitor.browser.evaluate(f"document.getElementById({name!r}).getAttribute('role')")
        for name in ("notice", "error", "connection", "log")
    }
    assert roles == {"notice": "status", "error": "alert", "connection": "status", "log": "log"}
    assert visitor.browser.evaluate("document.querySelector('#meaning').ariaLive") == "polite"
    assert visitor.browser.evaluate("document.documentElement.lang") == "en"
    assert visitor.browser.evaluate("document.title") == "Tasks \N{EN DASH} Todo"
