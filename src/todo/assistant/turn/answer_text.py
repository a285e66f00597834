"""Texts of the answers: short, plain, and with a hint for undo.

Titles written by users are quoted, so that they cannot look like a sentence of the answer.
"""

from collections.abc import Sequence

from todo.assistant.rules.decision import TaskName
from todo.assistant.rules.task_match import MAX_CANDIDATES, SHOWN_CANDIDATES
from todo.assistant.turn.answer import ToolUse
from todo.assistant.turn.change_text import Updates, describe_marks
from todo.core.caller import Caller
from todo.mcp.quoting import escape, quote
from todo.mcp.tool import Json
from todo.mcp.tools.task_view import render_due

UNDO_HINT = 'To take it back, write "undo".'
NOTHING_PLANNED = "No changes are waiting for confirmation."
PLAN_DROPPED = (
    "The earlier plan no longer waits for your confirmation. Repeat its request to get it again."
)
DECLINED = "Nothing was changed."
DISCARDED = "The plan was discarded, so nothing was changed."
NOTHING_TO_UNDO = "There is nothing to undo."
EXAMPLES = (
    'For example: "add buy milk tomorrow 17:00 #Home", "what is due today", "complete buy milk",'
    ' "move buy milk to friday", "rename buy milk to buy bread", "delete buy milk", "undo".'
)
HELP = (
    "You can add, find, complete, reopen, change, move and delete tasks. Deletions and large"
    f" changes wait for your confirmation, and everything can be undone.\n{EXAMPLES}"
)
SMALL_TALK = {
    "greeting": f"Hello. {HELP}",
    "thanks": "You're welcome.",
    "plan": "",
    "several": (
        "The message says several things at once, so nothing was done. Send them one at a time."
    ),
}
NOT_UNDERSTOOD = f"That was not understood, so nothing was done.\n{EXAMPLES}"
STOPPED = "The model stopped early. The changes that it made until then stay."
NO_PLAN = "The remaining changes could not be saved for confirmation. Send the message again."
WHICH_TASK = f"The message does not say which task it means. Nothing was changed.\n{EXAMPLES}"
WHAT_CHANGE = f"The message does not say what to change. Nothing was changed.\n{EXAMPLES}"
QUESTION = "Which one do you mean? Nothing was changed."
_CHOOSE_ONE = "Answer with its number, or with more words of its title."
_IS_IT = 'Answer "yes" if it is this one, or send the message again with the words of the title.'
_NAME_ONE = "Send the message again, with more words of the title."
_MAX_SHOWN = 20
_TITLE_LENGTH = 255
_ADDED = "Added"
_CHANGED = "Changed"
_MOVED = "Moved"
_UPDATED = (_CHANGED, _MOVED)
_DONE = {
    "add_tasks": _ADDED,
    "update_tasks": _CHANGED,
    "complete_tasks": "Completed",
    "reschedule_tasks": _MOVED,
}


def say_degraded(reason: str) -> str:
    """Return the text for a message that needs a model when no model answered."""
    causes = {
        "not-configured": "No language model is set up",
        "over-budget": "The budget for the language model is used up",
        "invalid": "The answer of the language model was not usable",
    }
    cause = causes.get(reason, "The language model did not answer")
    return (
        f"{cause}, and the message is not one of the simple ones, so nothing was done.\n{EXAMPLES}"
    )


def say_over_budget(wait_s: float, amount: str) -> str:
    """Return which budget is exhausted, and when the model is available again."""
    units = (("hours", 3600), ("minutes", 60))
    waits = (f"{round(wait_s / length_s)} {noun}" for noun, length_s in units)
    wait = next((each for each in waits if int(each.split()[0]) > 1), "a minute")
    return f"0 are left of {amount}; the model is back in about {wait}."


def say_changed(verb: str, structured: Json, updates: Updates, caller: Caller) -> str:
    """Return the text for the result of a tool that changed tasks, with a hint for undo."""
    if "unchanged" in structured:
        return "It was like that already; nothing was changed."
    names = [_name_changed(verb, task, structured, updates) for task in structured["tasks"]]
    hint = hint_undo(caller, has_new=verb == _ADDED or bool(structured.get("next")))
    return "\n".join([*_list_done(verb, names), *_list_next(structured), *hint])


def hint_undo(caller: Caller, *, has_new: bool) -> list[str]:
    """Return the hint for undo if the token may undo; undoing an addition needs `delete`."""
    needed = {"write", "delete"} if has_new else {"write"}
    return [UNDO_HINT] if needed <= caller.scopes and not caller.require_match else []


def say_facts(uses: Sequence[ToolUse], updates: Updates, caller: Caller) -> str:
    """Return the changes made by a model's tool calls, independent of the model's own text.

    A task that was changed several times takes one line.
    """
    done: dict[str, dict[str, str]] = {}
    following = []
    made = [use for use in uses if use.tool_name in _DONE and _is_change(use)]
    changed = {task["id"] for use in made if _is_update(use) for task in use.result["tasks"]}
    for use in made:
        verb = "Reopened" if use.arguments.get("reopen", False) else _DONE[use.tool_name]
        for task in use.result["tasks"]:
            # The line about a change already contains the new due date.
            if verb != _MOVED or task["id"] not in changed:
                name = _name_changed(verb, task, use.result, updates)
                done.setdefault(verb, {})[task["id"]] = name
        following += _list_next(use.result)
    facts = [line for verb, names in done.items() for line in _list_done(verb, [*names.values()])]
    hint = hint_undo(caller, has_new=_ADDED in done or bool(following))
    return "\n".join([*facts, *following, *hint]) if facts else DECLINED


def _is_change(use: ToolUse) -> bool:
    return "run_id" in use.result and "unchanged" not in use.result


def _is_update(use: ToolUse) -> bool:
    return _DONE[use.tool_name] == _CHANGED


def _name_changed(verb: str, task: Json, structured: Json, updates: Updates) -> str:
    """Return the text of a task; after an update, it includes the previous values."""
    changed = updates.describe(task["id"], structured["zone"]) if verb in _UPDATED else None
    return changed or _name_task(task, (), structured)


def _list_done(verb: str, names: Sequence[str]) -> list[str]:
    if len(names) == 1:
        return [f"{verb} {names[0]}."]
    return [f"{verb} {len(names)} tasks:", *_shorten(names)]


def _list_next(structured: Json) -> list[str]:
    following = structured.get("next", ())[:_MAX_SHOWN]
    return [f"Next: {_name_task(task, (), structured)}." for task in following]


def say_found(structured: Json, *, of_any_state: bool = False) -> str:
    """Return the text for found tasks; `of_any_state` adds whether each is open or completed."""
    tasks = structured["tasks"]
    if not tasks:
        return "\n".join(["No tasks were found.", *_name_others(structured)])
    count = f"{len(tasks)} task{'s' * (len(tasks) != 1)}"
    if structured["has_more"]:
        count = f"More than {count}"
    states = [_find_state(task) if of_any_state else () for task in tasks]
    names = [_name_task(*each, structured) for each in zip(tasks, states, strict=True)]
    lines = [f"{count}:", *_shorten(names)]
    return "\n".join([*lines, *_name_others(structured)])


def _name_others(structured: Json) -> list[str]:
    """Return a line that names the lists omitted by a search, if any."""
    names = ", ".join(quote(name, _TITLE_LENGTH) for name in structured.get("other_lists", ()))
    return [f"Not searched: the lists of others, {names}; name one to search it."] if names else []


def say_undone(structured: Json) -> str:
    """Return the text for the result of an undo."""
    count = structured["undone_count"]
    lines = [f"Undone: {count} change{'s' * (count != 1)}."]
    for each in structured["undone"][:_MAX_SHOWN]:
        state = "removed" if "gone" in each else "restored"
        lines.append(f"- {state} {quote(each['name'], _TITLE_LENGTH)}")
    lines += [f"- not undone: {escape(each['message'])}" for each in structured["not_undone"]]
    return "\n".join(lines)


def say_candidates(tasks: Sequence[TaskName], *, by_model: bool = False) -> str:
    """Return the tasks that a message may refer to, and how to choose one.

    After a model's decision, they are not numbered: the next message could not choose a number.
    """
    lines = [QUESTION]
    for number, task in enumerate(tasks[:SHOWN_CANDIDATES], 1):
        bullet = "-" if by_model else f"{number}."
        lines.append(f"{bullet} {', '.join(_describe_candidate(task))}")
    more = len(tasks) - SHOWN_CANDIDATES
    or_more = " or more" if len(tasks) == MAX_CANDIDATES else ""
    lines += [f"- … and {more}{or_more or ' more'}"] if more > 0 else []
    if by_model:
        return "\n".join([*lines, _NAME_ONE])
    return "\n".join([*lines, _CHOOSE_ONE if len(tasks) > 1 else _IS_IT])


def quote_list(name: str, owner: str | None, length: int) -> str:
    """Return the quoted name of a list, with its owner if that is another user."""
    quoted = quote(name, length)
    return f"{quoted} of {quote(owner, length)}" if owner else quoted


def _describe_candidate(task: TaskName) -> list[str]:
    """Return the title of a task, and fields that distinguish it from others with this title."""
    due = f"due {task.due[:16].replace('T', ' ')}" if task.due else ""
    name = quote_list(task.list_name or "", task.owner, _TITLE_LENGTH)
    place = f"list {name}" if task.list_name else ""
    priority = "" if task.priority == "none" else f"priority {task.priority}"
    tags = f"tags {quote(', '.join(task.tags), _TITLE_LENGTH)}" if task.tags else ""
    state = "completed" if task.is_completed else ""
    parts = (quote(task.title, _TITLE_LENGTH), due, place, priority, tags, state)
    return [part for part in parts if part]


def _shorten(names: Sequence[str]) -> list[str]:
    """Return one line for each of the first names, and one with the number of the others."""
    lines = [f"- {name}" for name in names[:_MAX_SHOWN]]
    more = len(names) - _MAX_SHOWN
    return [*lines, f"- … and {more} more"] if more > 0 else lines


def _find_state(task: Json) -> Sequence[str]:
    return [f"completed {task['completed_at'][:10]}"] if "completed_at" in task else ["open"]


def _name_task(task: Json, state: Sequence[str], structured: Json) -> str:
    name = quote(task.get("title", ""), _TITLE_LENGTH)
    parts = [*state]
    if due := render_due(task, structured["zone"]):
        parts.append(f"due {due}")
    if "repeats" in task:
        parts.append(f"repeats {task['repeats']}")
    if "list" in task:
        parts.append(f"list {quote(task['list'], _TITLE_LENGTH)}")
    # Shown because quick add removes them from the text, which may have been unintended.
    parts += describe_marks(task)
    return f"{name} ({', '.join(parts)})" if parts else name
