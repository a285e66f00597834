"""Rule engine of the assistant: decides what a message means without a model.

A wrong change is worse than none, so rules decide only clear messages. Conflicting rules decide
nothing, a question changes nothing, and a quotation is a title. Each rule applies each of its
patterns once, to a text of limited length.
"""

import re
from dataclasses import replace
from itertools import islice

from todo.assistant.rules.addition import decide_addition, decide_bare, decide_need
from todo.assistant.rules.completion import decide_done
from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import Line, make_line
from todo.assistant.rules.new_task import SEVERAL
from todo.assistant.rules.other_things import decide_other
from todo.assistant.rules.reply import decide_reply
from todo.assistant.rules.reschedule import decide_reschedule
from todo.assistant.rules.search import decide_find
from todo.assistant.rules.several_lines import decide_lines
from todo.assistant.rules.task_match import TaskIndex
from todo.assistant.rules.update import decide_update

MAX_LENGTH = 1_000
"""Maximum length of a single-line message that rules decide about, in characters."""
_MAX_PARTS = 3
_NEXT_COMMAND = re.compile(
    r"(?:,? and(?: then| also)?|[,;] ?(?:then|also)?|,? then|\. (?:then|also)?) ?(?:please )?"
    r"(?=(?:add|create|remind me|complete|delete|remove|move|rename|reopen|postpone|reschedule"
    r"|mark|tick|check off|uncheck|untick|tag)\b)"
)

_GROUP = re.compile(r"\b(?:all|both|each|every|everything|today's|tomorrow's)\b")
_INSTEAD = re.compile(
    r"(?:(?:no|nope|wait|sorry|oops|i (?:meant|mean)(?: to)?)[,.!]? ){0,3}(?P<x>\S.*?)"
    r"(?:,? (?:instead|rather)(?: of \S.*)?)?"
)


def decide(message: str, context: RuleContext) -> Decision | None:
    """Return the decision about a message, or None if the rules cannot decide."""
    reply = decide_reply(message, context.open_plan)
    if reply is not None:
        return reply
    if "\n" in message.strip():
        return _decide_lines(message, context)
    if len(message) > MAX_LENGTH:
        return None
    line = make_line(message)
    if not line.text:
        return None
    if not line.is_question and _has_several(line, context):
        return SEVERAL
    decision = _decide_instead(line, context) or _decide_line(line, context)
    return None if decision is None else _note_omitted(decision, line, context)


def _note_omitted(decision: Decision, line: Line, context: RuleContext) -> Decision:
    """Add the tasks that the rules do not know to a decision about a group."""
    known = context.omitted
    if not decision.tasks or _GROUP.search(line.folded) is None:
        return decision
    names = {task.list_name for task in decision.tasks if task.owner is not None}
    own = known.own if any(task.owner is None for task in decision.tasks) else 0
    lists = tuple(name for name in known.lists if name in names)
    return replace(decision, omitted=replace(known, own=own, lists=lists))


def _decide_instead(line: Line, context: RuleContext) -> Decision | None:
    """Return the instruction that replaces a pending plan: "no, delete the bread instead"."""
    found = None if context.open_plan is None else _INSTEAD.fullmatch(line.folded)
    if found is None or line.is_question:
        return None
    other = make_line(line.cut(found))
    return _decide_line(other, context) if other.text and len(other.text) < len(line.text) else None


def _decide_lines(message: str, context: RuleContext) -> Decision | None:
    lines = decide_lines(message, context)
    if lines is not None and _are_commands(lines, message, context):
        return SEVERAL
    return lines or _refuse_heading(message, context)


def _are_commands(added: Decision, message: str, context: RuleContext) -> bool:
    """Return whether each of several lines changes a task, without a heading that adds them."""
    texts = added.text.split("\n")
    has_heading = len(texts) < len([line for line in message.splitlines() if line.strip()])
    return not has_heading and all(_changes_task(text, context) for text in texts)


def _changes_task(text: str, context: RuleContext) -> bool:
    decision = _decide_line(make_line(text), context) if len(text) <= MAX_LENGTH else None
    return decision is not None and bool(decision.tasks or decision.candidates)


def _refuse_heading(message: str, context: RuleContext) -> Decision | None:
    """Return a refusal if a heading is not about tasks: "create a list called Garden:"."""
    head = message.strip().partition("\n")[0].rstrip(": \r")
    line = make_line(head) if len(head) <= MAX_LENGTH else None
    if line is None or line.is_question:
        return None
    return decide_other(line, context, TaskIndex(context.tasks))


def _decide_line(line: Line, context: RuleContext) -> Decision | None:
    local = context.now.astimezone(context.zone)
    every = TaskIndex(context.tasks, local)
    if line.is_question:
        return decide_find(line, context, every)
    opened = TaskIndex([task for task in context.tasks if not task.is_completed], local)
    closed = TaskIndex([task for task in context.tasks if task.is_completed], local)
    announced = decide_other(line, context, every) or decide_addition(line, context, opened)
    if announced is not None:
        return announced
    changes = find_changes(line, context, opened, closed)
    if changes:
        return changes[0] if len(changes) == 1 else None
    found = decide_find(line, context, every)
    if found is not None:
        return found
    needed = decide_need(line, context, opened)
    if needed is None:
        return decide_bare(line, context, opened)
    # "I need to push the report to friday" may be an addition or a change.
    is_change = find_changes(make_line(needed.text), context, opened, closed)
    return None if is_change else needed


def _has_several(line: Line, context: RuleContext) -> bool:
    """Return whether two parts of a message are commands: "add cheese and complete the gym"."""
    found = islice(_NEXT_COMMAND.finditer(line.folded), _MAX_PARTS)
    return any(
        _is_command(line.text[: joint.start()], context)
        and _is_command(line.text[joint.end() :], context)
        for joint in found
    )


def _is_command(text: str, context: RuleContext) -> bool:
    part = make_line(text)
    decision = _decide_line(part, context) if part.text else None
    return decision is not None and decision.intent not in {"find", "help"}


def find_changes(
    line: Line, context: RuleContext, opened: TaskIndex, closed: TaskIndex
) -> list[Decision]:
    """Return the changes that a message may mean, at most one for each kind of rule."""
    decisions = (
        decide_reschedule(line, context, opened),
        decide_update(line, context, opened),
        decide_done(line, opened, closed),
    )
    return [decision for decision in decisions if decision is not None]
