"""The assistant of the process, made on its first use: most processes never need it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from todo.assistant.turn.runner import Assistant


def get_assistant(state: Any) -> "Assistant":  # noqa: ANN401 - the application's
    """Return the assistant of the process.

    Args:
        state: `app.state`.
    """
    if state.assistant is None:
        # They import for a tenth of a second.
        from todo.assistant.model.client import open_model_client  # noqa: PLC0415
        from todo.assistant.turn.runner import Assistant  # noqa: PLC0415

        state.assistant = Assistant(state, open_model_client(state.settings, state.metrics))
    assistant: Assistant = state.assistant
    return assistant


async def close_assistant(state: Any) -> None:  # noqa: ANN401 - the application's
    """Close what the assistant has open, if it was used."""
    if state.assistant is not None:
        await state.assistant.close()
