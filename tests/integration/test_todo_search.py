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


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("हिन्दी सीखो", "हिन्दी"),
        ("हिन्दी सीखो", "हिन्दी सी"),
        ("ซื้อน้ำ now", "ซื้อน้ำ now"),
        ("שָׁלוֹם all", "שָׁלוֹם all"),
        ("Cafe\u0301 noir", "cafe\u0301 noir"),
        ("Привет МИР", "мир"),
        ("Grüße", "GRÜ"),
    ],
)
def test_words_of_any_script_are_found(make_person: MakePerson, title: str, words: str) -> None:
    alice = make_person("alice")
    made = alice.create(TASKS, title=title)
    alice.create(TASKS, title="something else")

    found = read(alice.http.get(TASKS, params={"q": words}))["items"]

    assert [each["id"] for each in found] == [made["id"]]
