import asyncio

from todo.assistant.turn.answer import ToolUse
from todo.assistant.turn.response import Response


class _Events:
    def __init__(self) -> None:
        self.pieces: list[str] = []

    async def text(self, piece: str) -> None:
        self.pieces.append(piece)

    async def tool(self, use: ToolUse) -> None:
        raise AssertionError(use)


def test_all_pieces_together_are_the_text() -> None:
    events = _Events()

    async def write() -> str:
        response = Response(events)
        assert response.is_empty
        await response.add_piece("Looking")
        await response.add_piece(" …\n")
        await response.say("Done.")
        await response.say("")
        return response.text

    assert asyncio.run(write()) == "Looking …\n\nDone." == "".join(events.pieces)


def test_what_a_model_writes_is_printable_and_bounded() -> None:
    async def write() -> str:
        response = Response(_Events())
        await response.add_piece("a\u202eb\x1b[31m\n")
        for _ in range(100):
            await response.add_piece("x" * 100)
        return response.text

    text = asyncio.run(write())
    assert text.startswith("a\\u202eb\\u001b[31m\nx")
    assert len(text) < 4100
