from tests.unit.todo.quickadd.phrasebook import load_phrases
from todo.schedule.rule import read_rule


def test_phrases_are_written_once_and_mean_one_thing() -> None:
    phrases = list(load_phrases())

    assert len({(phrase.text, phrase.now) for phrase in phrases}) == len(phrases)
    for phrase in phrases:
        expected = phrase.expected
        if expected is None:
            continue
        due_date, due_at = expected["due_date"], expected["due_at"]
        assert due_date is None or due_at is None, phrase.text
        assert due_date is None or due_date >= phrase.now.date(), phrase.text
        assert due_at is None or due_at > phrase.now, phrase.text
        if expected["recurrence"] is not None:
            assert str(read_rule(expected["recurrence"])) == expected["recurrence"]
            assert due_date or due_at, phrase.text
