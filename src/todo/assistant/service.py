"""The assistant of the process, made on its first use: most processes never need it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from todo.app_state import AppState
    from todo.assistant.turn.runner import Assistant


def get_assistant(state: "AppState") -> "Assistant":
    """Return the assistant of the process."""
    if state.assistant is None:
        # They import for a tenth of a second.
        from todo.assistant.model.client import open_model_client  # noqa: PLC0415
        from todo.assistant.turn.runner import Assistant  # noqa: PLC0415

        state.assistant = Assistant(state, open_model_client(state.settings, state.metrics))
    return state.assistant


async def close_assistant(state: "AppState") -> None:
    """Close what the assistant has open, if it was used."""
    if state.assistant is not None:
        await state.assistant.close()
