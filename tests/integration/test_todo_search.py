"""Words that tasks are found by, on both databases."""

import pytest

from tests.integration.people import TASKS, MakePerson, read


@pytest.mark.parametrize("words", ["o", "own", "owner", "milk own", "v", "null"])
def test_what_is_not_written_in_a_task_does_not_find_it(
    make_person: MakePerson, words: str
) -> None:
    alice = make_person("alice")
    alice.create(TASKS, title="Buy milk")

    assert read(alice.http.get(TASKS, params={"q": words}))["items"] == []
    assert len(read(alice.http.get(TASKS, params={"q": "buy mi"}))["items"]) == 1
