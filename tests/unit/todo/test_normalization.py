import unicodedata
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from todo.lists.schemas import Name
from todo.normalization import normalize_text
from todo.tasks.normalization import normalize_list, normalize_task
from todo.tasks.schemas import Description, Tag, Tags, Title

DECOMPOSED = "re\u0301sume\u0301"
COMPOSED = "r\u00e9sum\u00e9"
# Two characters in Normalization Form C.
GROWS = "\u0958"


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
    image = {"title": DECOMPOSED, "description": None, "tags": [DECOMPOSED, COMPOSED], "id": "1"}

    assert normalize_task(image) == image | {"title": COMPOSED, "tags": [COMPOSED]}
    assert normalize_list({"name": DECOMPOSED}) == {"name": COMPOSED}
