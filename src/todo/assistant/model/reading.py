"""Boundary around code that reads what a model or its server wrote.

Parsers of others have limits of their own, such as the depth of JSON, and no error class in common.
Whatever they raise means that the answer is not valid, and never that the service fails. Nothing
within this boundary does I/O, so errors of the database keep their meaning.
"""

import contextlib
import logging
import traceback
from collections.abc import Iterator

from todo.assistant.model.client import ModelError

_log = logging.getLogger("todo.assistant")


@contextlib.contextmanager
def reading_answer(*expected: type[Exception]) -> Iterator[None]:
    """Raise unexpected errors as ModelError.

    Args:
        expected: Errors that the caller handles.

    Raises:
        ModelError: The answer cannot be read.
    """
    known: tuple[type[Exception], ...] = (ModelError, *expected)
    try:
        yield
    except known:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary: the module's text
        # Not the message of the error: it may have words of the model.
        place = traceback.extract_tb(error.__traceback__)[-1].name
        message = f"the answer cannot be read: {type(error).__name__} in {place}"
        _log.warning("model answer: %s", message)
        raise ModelError("invalid", message) from None
