import logging

import pytest

from todo.assistant.model.client import ModelError
from todo.assistant.model.reading import reading_answer


@pytest.mark.parametrize("error", [TypeError("milk"), RecursionError(), KeyError("milk")])
def test_an_unexpected_error_is_an_invalid_answer_whose_words_are_in_no_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(ModelError) as caught,
        reading_answer(ValueError),
    ):
        raise error
    assert caught.value.reason == "invalid"
    assert type(error).__name__ in str(caught.value)
    assert type(error).__name__ in caplog.text
    assert "milk" not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize("error", [ValueError("x"), ModelError("timeout"), KeyboardInterrupt()])
def test_other_errors_are_left_alone(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, reading_answer(ValueError):
        raise error
    assert caught.value is error
