"""Response of a turn, sent piece by piece as it is written."""

from todo.assistant.turn.answer import Events
from todo.mcp.quoting import escape

_MAX_FROM_MODEL = 4000


class Response:
    """Text of an answer, which is sent in pieces."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._pieces: list[str] = []
        self._from_model = 0
        self._is_new_text = False

    @property
    def text(self) -> str:
        """Complete text so far."""
        return "".join(self._pieces)

    @property
    def is_empty(self) -> bool:
        """Whether the response has no text yet."""
        return not self.text.strip()

    async def say(self, text: str) -> None:
        """Add a text of the assistant on a separate line."""
        if text:
            await self._add(text if self.is_empty else f"\n{text}")

    def start_text(self) -> None:
        """Put the model's next text on a new line, after its tool calls."""
        self._is_new_text = True

    async def add_piece(self, piece: str) -> None:
        """Add a piece of the model's text, with control characters escaped, up to a limit."""
        left = _MAX_FROM_MODEL - self._from_model
        if left > 0 and piece:
            if self._is_new_text and not self.is_empty and not self.text[-1].isspace():
                piece = f"\n{piece}"
            self._is_new_text = False
            self._from_model += len(piece)
            await self._add("\n".join(map(escape, piece[:left].split("\n"))))

    async def _add(self, piece: str) -> None:
        self._pieces.append(piece)
        await self._events.text(piece)
