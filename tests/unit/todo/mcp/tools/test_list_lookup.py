import difflib
from collections.abc import Iterable
from uuid import UUID

import pytest

from todo.mcp.tools.list_lookup import ListLookup, ListNameError
from todo.tasks.visible_lists import VisibleList, VisibleLists


def make_list(list_id: str, name: str, access: str) -> VisibleList:
    return VisibleList(list_id, name, "alice" if access == "owner" else "bob", access)


def look_up(*lists: VisibleList) -> ListLookup:
    return ListLookup(VisibleLists(lists))


WORK = make_list("019ab000-0000-7000-8000-000000000001", "Work", "owner")
HOME = make_list("019ab000-0000-7000-8000-000000000002", "Home and garden", "write")
READ = make_list("019ab000-0000-7000-8000-000000000003", "Straße", "read")
TWICE = make_list("019ab000-0000-7000-8000-000000000004", "Work", "write")
SAME = make_list("019ab000-0000-7000-8000-000000000005", "HOME and garden", "write")


@pytest.mark.parametrize("given", ["Work", "work", " WORK ", WORK.id, WORK.id.upper()])
def test_a_list_is_found_by_name_and_by_id(given: str) -> None:
    assert look_up(WORK, HOME).get_id(given) == WORK.id


def test_names_are_compared_in_one_form() -> None:
    assert look_up(READ).get_id("STRASSE") == READ.id


def test_an_id_that_is_not_seen_is_left_to_the_services() -> None:
    assert look_up().get_id(WORK.id) == WORK.id


def test_a_name_of_two_lists_is_not_guessed() -> None:
    with pytest.raises(ListNameError) as caught:
        look_up(HOME, SAME).get_id("home and Garden")
    assert caught.value.choices == (HOME.id, SAME.id)


def test_an_unknown_name_leads_to_similar_ones() -> None:
    with pytest.raises(ListNameError, match='"Hme and garden" is not a list') as caught:
        look_up(WORK, HOME).get_id("Hme and garden")
    assert caught.value.choices == ("Home and garden",)


def test_a_list_of_another_user_does_not_make_a_name_ambiguous() -> None:
    assert look_up(TWICE, WORK).get_id("work") == WORK.id
    assert VisibleLists([TWICE, WORK]).names == {"Work": (WORK.id,)}


def test_quick_add_knows_the_names_of_lists_that_can_be_written_to() -> None:
    names = VisibleLists([HOME, SAME, READ]).names
    assert names == {"Home and garden": (HOME.id, SAME.id)}


def test_a_list_that_was_created_since_is_found() -> None:
    lookup = look_up()
    assert not lookup.has("work")
    lookup.add(WORK)
    assert lookup.has("work")
    assert lookup.lists.find_name(WORK.id) == "Work"
    assert lookup.lists.find_name(HOME.id) is None


def test_a_part_of_a_name_suggests_the_whole() -> None:
    lookup = look_up(make_list(str(UUID(int=1)), "Shopping list", "owner"))

    with pytest.raises(ListNameError) as refused:
        lookup.get_id("shopping")

    assert refused.value.choices == ("Shopping list",)


def test_wrong_names_are_compared_with_few_others_and_only_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[str, list[str]]] = []

    def record(word: str, names: Iterable[str], **_options: object) -> list[str]:
        compared.append((word, list(names)))
        return []

    monkeypatch.setattr(difflib, "get_close_matches", record)
    lookup = look_up(
        *(
            make_list(str(UUID(int=number)), f"{number} {'long name ' * 9}", "owner")
            for number in range(1000)
        )
    )

    for number in range(50):
        with pytest.raises(ListNameError):
            lookup.get_id(f"unknown {number} {'x' * 80}")

    assert len(compared) <= 3
    assert max(len(names) for _, names in compared) <= 100
    assert max(len(text) for word, names in compared for text in (word, *names)) <= 32


def test_a_name_that_may_be_that_of_a_later_list_is_not_called_unknown() -> None:
    lookup = ListLookup(VisibleLists([WORK], is_complete=False))
    with pytest.raises(ListNameError, match="use an id"):
        lookup.get_id("Cabin")
