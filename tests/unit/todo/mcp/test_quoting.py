import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.mcp.quoting import escape, quote, render_json

HOSTILE = [
    "line\nbreak",
    "carriage\r\nreturn",
    'quote" and \\ backslash',
    "bell\x07 escape\x1b[31m",
    "next line\x85",
    "separators\u2028\u2029",
    "right to left\u202eover\u2066ride",
    "zero\u200bwidth\ufeff",
    "tag \U000e0041\U000e0042",
    "unassigned \U000e1000",
    "private \ue000 \U00100000",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_one_line_of_printable_characters(text: str) -> None:
    quoted = quote(text, 100)
    assert quoted.isprintable()
    assert json.loads(quoted) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u200d\u200d", r"\u200d\u200d"),
        ("x\u200dy", r"x\u200dy"),
        ("👩\u200d\u200d", "👩\u200d\\u200d"),
        ("\u115f\u1160\u3164\uffa0", r"\u115f\u1160\u3164\uffa0"),
        ("\u034f\u17b4\u180b\u180f\u2065\ufff0", r"\u034f\u17b4\u180b\u180f\u2065\ufff0"),
        ("a\ufe00\ufe0f\ufe0e", r"a\ufe00\ufe0f\ufe0e"),
        ("❤\ufe0f\ufe0f\ufe0e", "❤\ufe0f\\ufe0f\\ufe0e"),
        ("a\ufe0f\u200d", r"a\ufe0f\u200d"),
        ("\x01\ufe0f", r"\u0001\ufe0f"),
    ],
)
def test_what_is_not_displayed_is_escaped(text: str, shown: str) -> None:
    assert quote(text, 100) == f'"{shown}"'
    assert escape(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("Buy milk", "Zürich für Ärzte", "牛乳を買う", "👩‍👩‍👧 family", "नमस्ते", "🪿"),
        *("1\ufe0f\u20e3", "\u2764\ufe0f\u200d\U0001f525", "\u2194\ufe0f", "\u2139\ufe0f"),
        *("\U0001f469\U0001f3fd\u200d\U0001f52c", "\U0001f3f3\ufe0f\u200d\U0001f308"),
        *("\u0d9a\u0dca\u200d\u0dc2", "\u0915\u094d\u200d\u0937"),
    ],
)
def test_a_harmless_text_is_shown_as_it_is(text: str) -> None:
    assert quote(text, 100) == f'"{text}"'


def test_a_long_text_is_cut_and_says_so() -> None:
    assert quote("abcdef", 3) == '"abc…" (6 characters)'
    assert quote("abc", 3) == '"abc"'


def test_escapes_count_and_are_not_cut_in_the_middle() -> None:
    assert quote("\n\n\n", 5) == '"\\n\\n…" (3 characters)'


@given(st.text(), st.integers(0, 40))
def test_the_length_is_bounded(text: str, limit: int) -> None:
    quoted = quote(text, limit)
    assert len(quoted.rpartition('"')[0]) <= limit + 2
    assert "\n" not in quoted


@given(st.dictionaries(st.text(), st.text()))
def test_json_stays_the_same_value(value: dict[str, str]) -> None:
    assert json.loads(render_json(value)) == value


@given(st.text())
def test_a_line_of_this_program_stays_one_line(text: str) -> None:
    assert "\n" not in escape(f"the list {text} is not there")


def test_only_hidden_characters_are_escaped() -> None:
    assert escape('a "list"\n\u202e of Zoë') == 'a "list"\\n\\u202e of Zoë'
