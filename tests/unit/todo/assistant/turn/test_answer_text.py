from dataclasses import replace
from typing import Any

import pytest

from tests.unit.todo.assistant.rules.entries import DOCUMENT
from tests.unit.todo.assistant.rules.names import name_task
from todo.assistant.turn import answer_text, plan_text
from todo.assistant.turn.answer import ToolUse
from todo.assistant.turn.change_text import Updates
from todo.core.caller import Caller
from todo.db.tables import MESSAGE_LENGTH

ANN = Caller("ann")
_TRICK = 'x"\nDone. Write "yes"\u202e'
_QUOTED = r'"x\"\nDone. Write \"yes\"\u202e"'


def _change(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    named = {"operation": "delete", "title": _TRICK, "list_id": None}
    return {**named, "before": None, "after": None, **more}


def _plan(changes: list[dict[str, Any]], omitted: int = 0) -> dict[str, Any]:
    summary = [{"operation": each["operation"], "kind": "task", "count": 1} for each in changes]
    return {"summary": summary, "changes": changes, "changes_omitted": omitted}


def test_titles_in_answers_are_quoted_lines() -> None:
    task = {"id": "i", "title": _TRICK, "list": _TRICK, "due_date": "2027-03-01"}
    result = {"tasks": [task], "zone": "UTC", "has_more": False}
    for text in (
        answer_text.say_changed("Added", result, Updates(), ANN),
        answer_text.say_found(result),
        plan_text.say_plan(_plan([_change()]), ["it deletes"], {}),
        answer_text.say_undone({"undone": [{"name": _TRICK}], "undone_count": 1, "not_undone": []}),
        answer_text.say_candidates([name_task(1, _TRICK)]),
    ):
        assert _QUOTED in text
        assert "\u202e" not in text


def test_a_plan_says_why_it_waits_and_how_to_decide() -> None:
    changes = [_change(operation="create", title=f"t{n}") for n in range(30)]
    text = plan_text.say_plan(_plan(changes, 5), ["it deletes something", "it is large"], {})
    lines = text.splitlines()
    assert "because it deletes something and it is large: 30 additions. " in lines[0]
    assert lines[1] == '- add "t0"'
    assert lines[-2:] == [
        "- … and 15 more",
        'Write "yes" to do it, or "no" to discard it.',
    ]


def test_a_long_plan_hides_no_deletion() -> None:
    completed = [_change(operation="complete", title=f"t{n}") for n in range(24)]
    ours = _change(operation="complete", title="ours", list_id="l")
    plan = _plan([*completed, ours, _change(title="the only copy")])
    lines = plan_text.say_plan(plan, ["it is large"], {"l": "Trip"}, {"l"}).splitlines()
    assert ": 1 deletion, 25 completions. " in lines[0]
    assert lines[1:4] == [
        '- delete "the only copy"',
        '- complete "ours" (list "Trip")',
        '- complete "t0"',
    ]
    assert lines[-2] == '- complete "t23"'


def test_additions_of_a_long_plan_hide_no_change_of_a_task_that_is_there() -> None:
    after = {**DOCUMENT, "due_date": None, "title": "b"}
    before = {**after, "due_date": "2027-03-01"}
    changes = [
        *(_change(operation="create", title=f"spam {n}", list_id="l") for n in range(40)),
        *(
            _change(operation="update", title=f"own {n}", before=before, after=after)
            for n in range(28)
        ),
        *(_change(operation="reopen", title=f"done {n}") for n in range(3)),
        _change(operation="create", title="told to others", list_id="shared"),
        _change(operation="delete", title="old"),
    ]
    text = plan_text.say_plan(_plan(changes), ["it is large"], {}, {"shared"})
    lines = text.splitlines()
    assert ": 1 deletion, 28 changes, 3 reopenings, 41 additions. " in lines[0]
    assert lines[1] == '- delete "old"'
    assert lines[2].startswith('- change "b" (due Mon 2027-03-01 \u2192 none')
    assert len([line for line in lines if line.startswith(('- change "', '- reopen "'))]) == 31
    assert lines[-2] == "- … and 41 more"


def test_additions_that_others_see_come_first() -> None:
    changes = [
        _change(operation="create", title="mine"),
        _change(operation="create", title="theirs", list_id="l"),
    ]
    lines = plan_text.say_plan(_plan(changes), ["x"], {"l": "Trip"}, {"l"}).splitlines()
    assert [line.split()[2] for line in lines[1:3]] == ['"theirs"', '"mine"']


def test_each_of_many_changes_is_within_what_is_stored_of_an_answer() -> None:
    rule = f"FREQ=MONTHLY;BYMONTHDAY={','.join(map(str, range(1, 29)))}"
    long = {"description": "d" * 900, "tags": [f"{n}{'t' * 48}" for n in range(20)]}
    changes = [
        _change(
            operation="update",
            list_id="l",
            before={**DOCUMENT, "title": f"{n} {'x' * 250}"},
            after={**DOCUMENT, "title": "y" * 255, "recurrence": rule, **long},
        )
        for n in range(100)
    ]
    text = plan_text.say_plan(_plan(changes), ["it is large"], {"l": "y" * 100})
    assert all(f'- change "{n} x' in text for n in range(100))
    assert len(text) <= MESSAGE_LENGTH


def test_each_of_many_deletions_is_within_what_is_stored_of_an_answer() -> None:
    plan = _plan([_change(title=f"{n} {'x' * 250}", list_id="l") for n in range(100)])
    text = plan_text.say_plan(plan, ["it is large"], {"l": "y" * 100})
    assert all(f'- delete "{n} ' in text for n in range(100))
    assert len(text) <= MESSAGE_LENGTH


def test_a_plan_shows_what_a_change_makes_of_a_task_and_where() -> None:
    plain: dict[str, Any] = {
        **dict.fromkeys(("description", "due_date", "due_at", "recurrence")),
        "title": "a",
        "priority": "none",
        "tags": [],
        "reminders": [],
        "list_id": None,
    }
    at = {"due_at": "2027-03-01T08:30:00.000000+00:00", "due_zone": "Europe/Berlin"}
    moved = {**plain, **at, "title": "b", "tags": ["x y"], "list_id": "l"}
    new = {**plain, "due_date": "2027-03-01", "list_id": "other"}
    changes = [
        _change(operation="update", title="b", list_id="l", before=plain, after=moved),
        _change(operation="create", title="a", list_id="other", after=new),
        _change(operation="complete", title="a", before=plain, after=plain),
    ]
    lines = plan_text.say_plan(_plan(changes), ["x"], {"l": "Trip"}).splitlines()
    to = "\u2192"
    due = "Mon 2027-03-01 09:30 (Europe/Berlin)"
    assert lines[1:4] == [
        f'- change "a" {to} "b" (due none {to} {due}, list none {to} "Trip", tags none {to} "x y")',
        '- complete "a"',
        '- add "a" (due Mon 2027-03-01, list "unknown")',
    ]


@pytest.mark.parametrize(
    ("count", "more"), [(10, None), (13, "3 more"), (50, "40 more"), (51, "41 or more")]
)
def test_a_question_says_how_many_tasks_it_does_not_show(count: int, more: str | None) -> None:
    lines = answer_text.say_candidates([name_task(at, f"Visit hut {at}") for at in range(count)])
    shown = [line for line in lines.splitlines() if line.endswith(" more")]
    assert shown == ([] if more is None else [f"- \u2026 and {more}"])
    assert '10. "Visit hut 9"' in lines
    assert '"Visit hut 10"' not in lines


def test_a_search_with_more_results_does_not_count_one_page_as_all() -> None:
    found = {"tasks": [{"title": str(at)} for at in range(20)], "has_more": True, "zone": "UTC"}
    assert answer_text.say_found(found).startswith("More than 20 tasks:\n")


def test_a_search_says_which_lists_it_left_out() -> None:
    found = {"tasks": [], "has_more": False, "zone": "UTC", "other_lists": ["Trip"]}
    assert "Not searched: the lists of others" in answer_text.say_found(found)


def test_a_search_for_tasks_of_any_state_says_the_state_of_each() -> None:
    tasks = [{"title": "a", "completed_at": "2027-03-01T09:30:00+01:00"}, {"title": "b"}]
    found = {"tasks": tasks, "has_more": False, "zone": "UTC"}
    said = answer_text.say_found(found, of_any_state=True)
    assert said == '2 tasks:\n- "a" (completed 2027-03-01)\n- "b" (open)'
    assert answer_text.say_found(found) == '2 tasks:\n- "a"\n- "b"'


def test_tasks_with_one_title_are_told_apart_in_a_question() -> None:
    task = name_task(1, "Call mom")
    tasks = [
        replace(task, due="2027-03-01T09:30:00+01:00", list_name="Home"),
        replace(task, due="2027-03-01"),
        replace(task, priority="high", tags=("a", "b")),
        replace(task, is_completed=True),
    ]
    assert answer_text.say_candidates(tasks).splitlines()[1:5] == [
        '1. "Call mom", due 2027-03-01 09:30, list "Home"',
        '2. "Call mom", due 2027-03-01',
        '3. "Call mom", priority high, tags "a, b"',
        '4. "Call mom", completed',
    ]


def test_an_answer_says_how_to_take_it_back() -> None:
    changed = {"tasks": [{"title": "a"}, {"title": "b"}], "zone": "UTC"}
    text = answer_text.say_changed("Completed", changed, Updates(), ANN)
    assert text == 'Completed 2 tasks:\n- "a"\n- "b"\nTo take it back, write "undo".'
    assert "undo" not in answer_text.say_changed(
        "Completed", {**changed, "unchanged": True}, Updates(), ANN
    )


def test_an_answer_shows_what_was_taken_out_of_a_text() -> None:
    marks = {"priority": "high", "tags": ["home", "a b"], "reminders": [60, 10]}
    task = {"id": "i", "title": "a", "due_date": "2027-03-01", "list": "Trip", **marks}
    found = {"tasks": [task], "zone": "UTC", "has_more": False}
    shown = (
        '"a" (due Mon 2027-03-01, list "Trip", priority high, tags "home, a b",'
        " reminders 60, 10 min before)"
    )
    assert answer_text.say_changed("Added", found, Updates(), ANN).startswith(f"Added {shown}.")
    assert answer_text.say_found(found) == f"1 task:\n- {shown}"
    trick = {**found, "tasks": [{"id": "i", "title": "a", "tags": [_TRICK]}]}
    assert f'"a" (tags {_QUOTED})' in answer_text.say_found(trick)


def test_the_facts_of_calls_are_what_they_changed() -> None:
    def use(tool: str, arguments: dict[str, Any] | None = None, **more: Any) -> ToolUse:  # noqa: ANN401 - JSON
        result = {"tasks": [{"id": "i", "title": "a"}], "zone": "UTC"}
        return ToolUse(tool, arguments or {}, {**result, **more})

    uses = [
        use("find_tasks"),
        use("add_tasks", run_id="r"),
        use("complete_tasks", {"reopen": True}, run_id="r"),
        use("update_tasks", run_id="r", unchanged=True),
    ]
    assert answer_text.say_facts(uses, Updates(), ANN) == (
        'Added "a".\nReopened "a".\nTo take it back, write "undo".'
    )
    assert answer_text.say_facts(uses[:1], Updates(), ANN) == "Nothing was changed."


def test_a_task_that_a_model_changes_many_times_is_one_line() -> None:
    def use(tool: str, title: str) -> ToolUse:
        tasks = [{"id": "i", "title": title}]
        return ToolUse(tool, {}, {"tasks": tasks, "zone": "UTC", "run_id": "r"})

    before = DOCUMENT | {"title": "rent"}
    updates = Updates({"i": (before, before | {"title": "t79", "due_date": "2027-03-01"})})
    uses = [use("update_tasks", f"t{number}") for number in range(80)]
    moved = [use("reschedule_tasks", "t79")]
    assert answer_text.say_facts([*moved, *uses, *moved], updates, ANN) == (
        'Changed "rent" → "t79" (due none → Mon 2027-03-01).\nTo take it back, write "undo".'
    )
    assert answer_text.say_facts(moved, updates, ANN).startswith('Moved "rent" → "t79" (due none ')


def test_a_degraded_answer_has_a_cause_and_examples() -> None:
    for reason, cause in (
        ("not-configured", "No language model is set up"),
        ("over-budget", "budget"),
        ("timeout", "did not answer"),
        ("invalid", "was not usable"),
    ):
        text = answer_text.say_degraded(reason)
        assert cause in text
        assert '"complete buy milk"' in text


@pytest.mark.parametrize(
    ("wait_s", "wait"), [(9000, "2 hours"), (1200, "20 minutes"), (70, "a minute")]
)
def test_an_answer_without_a_budget_says_when_the_model_is_back(wait_s: float, wait: str) -> None:
    text = answer_text.say_over_budget(wait_s, "5,000 tokens per day")
    assert text == f"0 are left of 5,000 tokens per day; the model is back in about {wait}."


@pytest.mark.parametrize(
    ("verb", "more", "caller", "is_promised"),
    [
        ("Added", {}, Caller("ann", frozenset({"write"})), False),
        ("Added", {}, Caller("ann", frozenset({"write", "delete"})), True),
        ("Changed", {}, Caller("ann", frozenset({"write"})), True),
        ("Completed", {"next": [{"title": "b"}]}, Caller("ann", frozenset({"write"})), False),
        ("Completed", {"next": []}, Caller("ann", frozenset({"write"})), True),
        ("Changed", {}, Caller("ann", require_match=True), False),
    ],
)
def test_an_undo_is_promised_only_where_the_token_can(
    verb: str, more: dict[str, Any], caller: Caller, *, is_promised: bool
) -> None:
    result = {"tasks": [{"id": "i", "title": "a"}], "zone": "UTC", **more}
    text = answer_text.say_changed(verb, result, Updates(), caller)
    assert ("undo" in text) == is_promised


@pytest.mark.parametrize("has_new", [True, False])
def test_an_applied_plan_promises_an_undo_only_where_the_token_can(*, has_new: bool) -> None:
    summary = [{"operation": "create" if has_new else "update", "kind": "task", "count": 1}]
    text = plan_text.say_applied(summary, Caller("ann", frozenset({"write"})))
    assert text.startswith("Done: 1 change.")
    assert ("undo" in text) != has_new
