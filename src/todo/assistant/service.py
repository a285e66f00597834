"""Assistant of the process, created on first use because most processes never need it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from todo.app_state import AppState
    from todo.assistant.turn.runner import Assistant


def get_assistant(state: "AppState") -> "Assistant":
    """Return the assistant of the process, creating it on first use."""
    if state.assistant is None:
        # These imports take 0.1 s.
        from todo.assistant.model.client import open_model_client  # noqa: PLC0415
        from todo.assistant.turn.runner import Assistant  # noqa: PLC0415

        state.assistant = Assistant(state, open_model_client(state.settings, state.metrics))
    return state.assistant


async def close_assistant(state: "AppState") -> None:
    """Close the assistant's connections if it was used."""
    if state.assistant is not None:
        await state.assistant.close()
