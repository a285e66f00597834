"""Explanations of why a clear message has no effect: "delete milk" without such a task.

They are given only if neither the rules nor a model decide. The rules interpret a command as if
each named task existed. A line such as "call mum tomorrow" may add a task or move an existing one.
"""

import re
from typing import Any

from todo.assistant.rules.decision import Decision, RuleContext, TaskName
from todo.assistant.rules.engine import MAX_LENGTH, find_changes
from todo.assistant.rules.line import Line, make_line, unquote
from todo.assistant.rules.new_task import parse_line
from todo.assistant.rules.outcome import find_reported
from todo.assistant.rules.statement import is_statement
from todo.assistant.rules.task_match import Match, TaskIndex, is_group, split_parts
from todo.assistant.rules.vocabulary import COMMANDS, PHRASE_FILLERS
from todo.assistant.rules.words import split_words

# These verbs always address the assistant.
_COMMAND = re.compile(
    r"(?:delete|remove|erase|scrap|trash|discard|get rid of|complete|mark|tick|check|cross|strike"
    r"|uncheck|untick|reopen|re-open|rename|retitle|reword|move|push|postpone|reschedule|snooze"
    r"|delay|defer|put off|tag|untag|label|flag|take .* (?:off|out of) (?:my|the|our) )\b"
)
# "set the table tomorrow" is a task, "set the priority of the table to high" is a command.
_OTHER_COMMAND = re.compile(r"(?:set|make|give|change|bump|add|put|clear)\b")
_ANNOUNCED = re.compile(
    r"(?:remind me (?:about|of)|don't (?:let me )?forget(?: about)?|remember)"
    r" (?P<x>(?:the|my|our) .*)"
)
_BEFORE_DUE = re.compile(r"\A(?:on|at|by|for|before|due)\s+", re.IGNORECASE)
_DUE = re.compile(r"\b(?:due|deadline|date)\b")


class _AnyTask(TaskIndex):
    """Index in which each phrase matches a task with the phrase as its title."""

    def __init__(self, message: str) -> None:
        super().__init__(())
        self._message = message

    def find_own(self) -> tuple[TaskName, ...]:
        return (_name("all tasks"),)

    def match(self, phrase: str) -> Match:
        # A phrase that is the whole message is not the title of a task.
        return Match() if phrase == self._message else Match((_name(phrase),))


def explain(message: str, context: RuleContext) -> Decision | None:
    """Return why a message has no effect, such as an unknown or completed task, or None."""
    if len(message) > MAX_LENGTH or "\n" in message.strip():
        return None
    line = make_line(message)
    if not line.text or line.is_question:
        return None
    meant = _find_command(line, context)
    if meant is not None:
        return _explain(meant, context)
    return (
        _explain_known(line, context)
        or _explain_titled(line, context)
        or _explain_statement(line, context)
    )


def _find_command(line: Line, context: RuleContext) -> Decision | None:
    """Return the decision that a command would have if a task of each name existed."""
    any_task = _AnyTask(line.text)
    if not _COMMAND.match(line.folded) and not _OTHER_COMMAND.match(line.folded):
        return None
    changes = find_changes(line, context, any_task, any_task)
    if any(each.intent == "help" for each in changes):
        # For a reopening, the task must not match as an open one.
        changes = find_changes(line, context, TaskIndex(()), any_task)
    if not changes:
        return None
    is_clear = _COMMAND.match(line.folded) or changes[0].fields or _DUE.search(line.folded)
    return changes[0] if is_clear else None


def _explain(meant: Decision, context: RuleContext) -> Decision | None:
    local = context.now.astimezone(context.zone)
    phrase = meant.tasks[0].title
    wants_closed = meant.intent == "reopen"
    fitting = [
        task
        for task in context.tasks
        if meant.intent == "delete" or task.is_completed == wants_closed
    ]
    index = TaskIndex(fitting, local)
    parts = split_parts(phrase)
    unknown = [part for part in parts or [phrase] if not index.match(part)]
    if not unknown or index.match(phrase) or phrase.lower() in COMMANDS:
        # The message is unclear for another reason.
        return None
    if is_group(phrase):
        group = {"name": unquote(phrase)}
        return Decision("help", "unknown-group", fields=group | _say_omitted(context))
    if not parts and meant.intent != "delete":
        others = TaskIndex([task for task in context.tasks if task not in fitting], local)
        found = others.match(phrase).found
        if len(found) == 1:
            state = "open" if wants_closed else "completed"
            return Decision("help", "other-state", fields={"title": found[0].title, "is": state})
    names = [unquote(name) for name in ([phrase] if len(unknown) == len(parts) else unknown)]
    kind = {"reopen": "completed ", "delete": ""}.get(meant.intent, "open ")
    fields = {"names": names, "kind": kind}
    return Decision("help", "unknown-task", fields=fields | _say_omitted(context))


def _say_omitted(context: RuleContext) -> dict[str, Any]:
    """Return the omitted tasks, because one of them may be meant."""
    known = context.omitted
    return {"omitted": known} if known.own or known.lists else {}


def _explain_known(line: Line, context: RuleContext) -> Decision | None:
    """Explain a line with the title of an open task and another due date; otherwise None."""
    read = parse_line(line.text, context)
    if read is None or read.questions or not read.title:
        return None
    spans = [span for span in read.spans if span.kind != "literal"]
    due = " ".join(line.text[span.start : span.end] for span in spans)
    if not spans or any(span.kind != "due" for span in spans):
        return None
    opened = TaskIndex([task for task in context.tasks if not task.is_completed])
    found = opened.match(read.title).found
    # "called mum on friday" has another verb.
    if len(found) != 1 or _content(found[0].title) != _content(read.title):
        return None
    due = _BEFORE_DUE.sub("", due)
    alone = parse_line(due, context)
    if (alone is None or alone.title) and read.due_at is not None:
        # "7" is a time only after "at".
        due = f"{read.due_at.astimezone(context.zone):%Y-%m-%d %H:%M}"
    return Decision("help", "known-task", fields={"title": found[0].title, "due": due})


def _explain_titled(line: Line, context: RuleContext) -> Decision | None:
    """Explain a line that is about an open task and names no change; otherwise None."""
    task = find_reported(line.text, context)
    if task is None:
        announced = _ANNOUNCED.fullmatch(line.folded)
        phrase = "" if announced is None else line.cut(announced)
        opened = TaskIndex([each for each in context.tasks if not each.is_completed])
        found = opened.match(phrase).found if phrase else ()
        task = found[0] if len(found) == 1 else None
    fields = {} if task is None else {"title": task.title, "message": line.text}
    return Decision("help", "known-title", fields=fields) if fields else None


def _explain_statement(line: Line, context: RuleContext) -> Decision | None:
    """Explain a line with a time that may be a statement rather than a task; otherwise None."""
    read = parse_line(line.text, context)
    if read is None or read.questions or read.due_at is None or not read.title:
        return None
    return Decision("help", "statement") if is_statement(line.text, read.title) else None


def _content(title: str) -> set[str]:
    return set(split_words(title)) - PHRASE_FILLERS


def _name(title: str) -> TaskName:
    return TaskName("", title, 0, None, is_completed=False, due=None, is_shared=False)
