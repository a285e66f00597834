import contextlib
import itertools
import sys
import time
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.unit.todo.tasks.examples import TASK
from todo.lists.schemas import Name
from todo.tasks.schemas import Description, Tag, Tags, Title
from todo.tasks.text_fields import normalize_list, normalize_task
from todo.text.normalization import MAX_MARKS, has_limited_marks, limit_marks, normalize_text

if TYPE_CHECKING:
    from todo.core.domain import TaskList

DECOMPOSED = "re\u0301sume\u0301"
COMPOSED = "r\u00e9sum\u00e9"
# Two characters in Normalization Form C.
GROWS = "\u0958"
# Two marks that normalization sorts, in quadratic time.
UNSORTED = "\u0300\u0323"
MEBIBYTE = 1024 * 1024
# A hundred times what a linear check takes on a quiet machine.
MAX_S = 1.0


@pytest.mark.parametrize("kind", [Title, Description, Tag, Name])
def test_a_text_of_the_api_has_one_form(kind: Any) -> None:  # noqa: ANN401 - an annotation
    assert TypeAdapter(kind).validate_python(DECOMPOSED) == COMPOSED


@pytest.mark.parametrize("kind", [Title, Tag, Name])
@pytest.mark.parametrize("text", ["", " ", "\u2001 "])
def test_a_blank_text_is_refused(kind: Any, text: str) -> None:  # noqa: ANN401 - an annotation
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(text)


def test_two_spellings_of_a_tag_are_one_tag() -> None:
    assert TypeAdapter(Tags).validate_python([DECOMPOSED, "a", COMPOSED]) == [COMPOSED, "a"]


def test_a_text_has_to_fit_in_the_form_that_is_stored() -> None:
    assert TypeAdapter(Title).validate_python("e\u0301" * 255) == "\u00e9" * 255
    with pytest.raises(ValidationError):
        TypeAdapter(Title).validate_python(GROWS * 255)


def test_what_would_be_too_long_stays_as_it_is() -> None:
    assert normalize_text(GROWS, 1) == GROWS
    assert normalize_text(GROWS, 2) == unicodedata.normalize("NFC", GROWS)


def test_a_task_of_the_past_comes_back_in_the_one_form() -> None:
    task = TASK | {"title": DECOMPOSED, "tags": [DECOMPOSED, COMPOSED]}
    task_list: TaskList = {
        "id": "1",
        "owner": "alice",
        "name": DECOMPOSED,
        "position": 1.0,
        "created_at": TASK["created_at"],
        "updated_at": TASK["updated_at"],
        "version": 1,
    }

    assert normalize_task(task) == task | {"title": COMPOSED, "tags": [COMPOSED]}
    assert normalize_list(task_list) == task_list | {"name": COMPOSED}


@pytest.mark.parametrize("kind", [Title, Description, Tag, Name])
@pytest.mark.parametrize(
    "text", ["a" + UNSORTED * 250_000, "e\u0301" * 350_000, " " * MEBIBYTE + "a"]
)
def test_a_text_of_a_mebibyte_costs_little(kind: Any, text: str) -> None:  # noqa: ANN401 - an annotation
    began = time.thread_time()
    with contextlib.suppress(ValidationError):
        TypeAdapter(kind).validate_python(text)
    assert time.thread_time() - began < MAX_S


@pytest.mark.parametrize("kind", [Title, Description, Tag, Name])
def test_more_marks_than_a_letter_may_have_are_refused(kind: Any) -> None:  # noqa: ANN401 - an annotation
    letter = "a" + UNSORTED * (MAX_MARKS // 2)

    assert TypeAdapter(kind).validate_python(letter) == unicodedata.normalize("NFC", letter)
    with pytest.raises(ValidationError, match="at most 30 combining marks in a row"):
        TypeAdapter(kind).validate_python(f"{letter}\u0300")


def test_a_stored_text_with_many_marks_stays_as_it_is() -> None:
    text = "a" + UNSORTED * MAX_MARKS

    assert normalize_text(text, 255) == text


def test_every_mark_counts_as_in_the_decomposed_text() -> None:
    for char in map(chr, itertools.chain(range(0xAC00), range(0xE000, sys.maxunicode + 1))):
        decomposed = unicodedata.normalize("NFD", char)
        marks = len(decomposed) if all(map(unicodedata.combining, decomposed)) else 0
        if marks:
            assert has_limited_marks("a" + char * (MAX_MARKS // marks)), ascii(char)
        assert has_limited_marks("a" + char * (MAX_MARKS + 1)) is not bool(marks), ascii(char)


@given(text=st.text(st.sampled_from("a b\u0964\u0bbe\u0300\u0323\u0f73"), max_size=100))
def test_marks_are_limited_and_nothing_else_changes(text: str) -> None:
    limited = limit_marks(text)

    assert has_limited_marks(limited)
    assert limit_marks(limited) == limited
    assert has_limited_marks(text) is (limited == text)
    runs = "".join(
        "m" if unicodedata.combining(char) else "x"
        for char in unicodedata.normalize("NFD", limited)
    )
    assert "m" * (MAX_MARKS + 1) not in runs
