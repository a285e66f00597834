"""Selection of the earlier messages that the assistant gets."""

from todo.assistant.conversations.message import HISTORY_CHARACTERS, limit_history
from todo.assistant.turn.answer import EarlierMessage


def turn(content: str, run_id: str | None = None) -> EarlierMessage:
    return EarlierMessage("user", content, run_id)


def test_messages_come_in_their_order() -> None:
    found = limit_history([turn("c"), turn("b", "run"), turn("a")])

    assert [each.content for each in found] == ["a", "b", "c"]
    assert [each.run_id for each in found] == [None, "run", None]


def test_the_oldest_message_is_cut_where_there_is_no_more_room() -> None:
    found = limit_history([turn("n" * (HISTORY_CHARACTERS - 10)), turn("o" * 20), turn("older")])

    assert [each.content[:1] for each in found] == ["o", "n"]
    assert sum(len(each.content) for each in found) == HISTORY_CHARACTERS


def test_a_message_that_fills_the_room_leaves_none_for_others() -> None:
    found = limit_history([turn("n" * HISTORY_CHARACTERS), turn("older")])

    assert len(found) == 1


def test_without_messages_there_is_no_history() -> None:
    assert limit_history([]) == ()
