"""Rules of the assistant: what a message means, without a model.

A wrong change is worse than none, so rules decide only what is clear. Two rules that differ decide
nothing, a question changes nothing, and what is in quotation marks is a title. Each part looks at a
text of bounded length once for each of its patterns.
"""

from todo.assistant.rules.addition import decide_addition, decide_bare, decide_lines, decide_need
from todo.assistant.rules.completion import decide_done
from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import Line, make_line
from todo.assistant.rules.reply import decide_reply
from todo.assistant.rules.reschedule import decide_reschedule
from todo.assistant.rules.search import decide_find
from todo.assistant.rules.task_match import TaskIndex
from todo.assistant.rules.update import decide_update

MAX_LENGTH = 1_000
"""Characters of a message of one line that rules decide about."""


def decide(message: str, context: RuleContext) -> Decision | None:
    """Return what a message means; None where the rules do not decide.

    Args:
        message: What the person wrote.
        context: The tasks, the lists and the present of the person.
    """
    reply = decide_reply(message, context.open_plan)
    if reply is not None:
        return reply
    if "\n" in message.strip():
        return decide_lines(message)
    if len(message) > MAX_LENGTH:
        return None
    line = make_line(message)
    return _decide_line(line, context) if line.text else None


def _decide_line(line: Line, context: RuleContext) -> Decision | None:
    local = context.now.astimezone(context.zone)
    every = TaskIndex(context.tasks, local)
    if line.is_question:
        return decide_find(line, context, every)
    opened = TaskIndex([task for task in context.tasks if not task.is_completed], local)
    closed = TaskIndex([task for task in context.tasks if task.is_completed], local)
    added = decide_addition(line, context, opened)
    if added is not None:
        return added
    changes = _find_changes(line, context, opened, closed)
    if changes:
        return changes[0] if len(changes) == 1 else None
    found = decide_find(line, context, every)
    if found is not None:
        return found
    needed = decide_need(line, context, opened)
    if needed is None:
        return decide_bare(line, context, opened)
    # "I need to push the report to friday" could be either.
    is_change = _find_changes(make_line(needed.text), context, opened, closed)
    return None if is_change else needed


def _find_changes(
    line: Line, context: RuleContext, opened: TaskIndex, closed: TaskIndex
) -> list[Decision]:
    decisions = (
        decide_reschedule(line, context, opened),
        decide_update(line, context, opened),
        decide_done(line, opened, closed),
    )
    return [decision for decision in decisions if decision is not None]
