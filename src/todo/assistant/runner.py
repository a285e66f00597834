"""The runner of the assistant: one message becomes one answer, with a model or without."""

from collections.abc import Sequence
from typing import Any

from todo.assistant.answer import Events, Turn, TurnAnswer
from todo.core.caller import Caller
from todo.core.ids import new_uuid7


class Assistant:
    """The assistant of one process."""

    def __init__(self, state: Any) -> None:  # noqa: ANN401 - the application's
        self._state = state

    async def run(
        self,
        caller: Caller,
        message: str,  # noqa: ARG002 - no rules yet
        history: Sequence[Turn],  # noqa: ARG002 - no rules yet
        open_plan: str | None,  # noqa: ARG002 - no rules yet
        events: Events,
        deadline_s: float,  # noqa: ARG002 - no rules yet
    ) -> TurnAnswer:
        """Carry out a message and return the answer; a model that fails is not an error.

        Args:
            caller: The person. Its run id is the run of all changes; without one, it is made.
            message: What the person wrote.
            history: The messages before, oldest first.
            open_plan: Id of the plan of this conversation that waits for the person.
            events: Receives the parts of the answer at once.
            deadline_s: Seconds until the answer has to be there.

        Raises:
            RateLimitedError: The person or the token used up a budget; nothing was done.
        """
        text = "Write what to do, for example: add buy milk tomorrow."
        await events.text(text)
        run_id = caller.run_id or str(new_uuid7())
        return TurnAnswer(
            text,
            (),
            run_id,
            changed=False,
            plan=None,
            degraded="not-configured",
            prompt_tokens=0,
            output_tokens=0,
        )

    async def close(self) -> None:
        """Close the connections to the model server."""
