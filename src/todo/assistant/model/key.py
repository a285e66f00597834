"""API key of the model server, read from a file."""

from todo.config.settings import Settings
from todo.core.exit import ExitCode, FatalError

_MAX_BYTES = 16 * 1024


def read_model_key(settings: Settings) -> str | None:
    """Return the API key of the model server, or None without a configured key file.

    Raises:
        FatalError: The key file is missing, unreadable or invalid.
    """
    path = settings.ai_key_file
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            key = file.read(_MAX_BYTES).strip().decode("ascii", "replace")
    except OSError as error:
        message = f"TODO_AI_KEY_FILE cannot be read ({error.strerror}: {path})"
        raise FatalError(ExitCode.SECRET, message) from None
    # Other characters are not allowed in the Authorization header.
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        message = f"TODO_AI_KEY_FILE does not hold one key of printable ASCII characters ({path})"
        raise FatalError(ExitCode.SECRET, message)
    return key
