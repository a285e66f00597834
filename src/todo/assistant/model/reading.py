"""Error boundary around code that parses the output of a model or its server.

Third-party parsers have their own limits, such as the depth of JSON, and no common error class. Any
of their errors means that the answer is invalid, not that the service has failed. Code inside the
boundary does no I/O, so no database errors are hidden.
"""

import contextlib
import logging
import traceback
from collections.abc import Iterator

from todo.assistant.model.client import ModelError

_log = logging.getLogger("todo.assistant")


@contextlib.contextmanager
def reading_answer(*expected: type[Exception]) -> Iterator[None]:
    """Convert errors to ModelError, except for the `expected` ones.

    Raises:
        ModelError: The answer is invalid.
    """
    known: tuple[type[Exception], ...] = (ModelError, *expected)
    try:
        yield
    except known:
        raise
    except Exception as error:  # noqa: BLE001 - see the module docstring
        # The error's own message is left out, because it may quote the model.
        place = traceback.extract_tb(error.__traceback__)[-1].name
        message = f"the answer cannot be read: {type(error).__name__} in {place}"
        _log.warning("model answer: %s", message)
        raise ModelError("invalid", message) from None
