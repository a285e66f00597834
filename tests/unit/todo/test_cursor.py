import contextlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.errors import ValidationFailedError
from todo.tasks.cursor import decode_cursor, encode_cursor


@given(st.uuids())
def test_a_cursor_leads_back_to_its_id(after: UUID) -> None:
    cursor = encode_cursor(after)

    assert decode_cursor(cursor) == after
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text())
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with contextlib.suppress(ValidationFailedError):
        assert encode_cursor(decode_cursor(text)) == text


def test_a_refused_cursor_names_the_parameter() -> None:
    with pytest.raises(ValidationFailedError) as caught:
        decode_cursor("x")

    assert caught.value.errors is not None
    assert caught.value.errors[0]["field"] == "cursor"
