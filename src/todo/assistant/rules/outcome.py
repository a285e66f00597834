"""Recognition of lines that report on a task: its title with "cancelled", "urgent" or the like.

They start like an instruction, but refer to an existing task.
"""

import re

from todo.assistant.rules.decision import RuleContext, TaskName
from todo.assistant.rules.statement import CHANGED, is_statement
from todo.assistant.rules.vocabulary import ADDRESSING, PHRASE_FILLERS
from todo.assistant.rules.words import split_words

OUTCOMES = frozenset({"completed", "done", "finished"})
_OTHER_OUTCOMES = OUTCOMES | {
    "asap", "important", "late", "missing", "nope", "obsolete", "overdue", "pending", "soon",
    "unnecessary", "urgent", "urgently",
    # Common words for "done", "paid" and "bought" in other languages.
    "abgeschlossen", "bezahlt", "comprado", "erledigt", "fertig", "gekauft", "gemacht", "hecha",
    "hecho", "lista", "listo", "pagado", "terminado", "ya",
}  # fmt: skip
_DENIAL = re.compile(r"(?<!\S)(?:no|not|never)(?= (?!later\b|more than\b|\d)|\W*\Z)")
_ALSO_NOUNS = frozenset({
    "book", "call", "email", "exchange", "iron", "mail", "order", "paint", "phone", "plant", "rent",
    "repair", "return", "ring", "ship", "visit", "water",
})  # fmt: skip
"""Errands that can also be the subject of a statement: "order arrived"."""
_MAX_REST = 5


def find_reported(text: str, context: RuleContext) -> TaskName | None:
    """Return the open task whose title starts a line, followed by a report on the task."""
    words = split_words(text)
    for task in context.tasks:
        title = split_words(task.title)
        rest = words[len(title) :]
        if (
            not task.is_completed
            and 0 < len(rest) <= _MAX_REST
            and title
            and words[: len(title)] == title
            and _is_outcome(rest)
        ):
            return task
    return None


def is_report(folded: str, words: list[str]) -> bool:
    """Return whether a line without a due date is a report: "order arrived", "buy no milk".

    `words` are those of the line, at least two.
    """
    if _DENIAL.search(folded) or words[-1] in _OTHER_OUTCOMES - {"asap", "soon", "urgently"}:
        return True
    # The word does not count in the middle: "email Ada about the cancelled trip".
    ends = {words[1], words[-1]}
    if words[0] in _ALSO_NOUNS and not CHANGED.isdisjoint(ends):
        return True
    # After "call", the word may be a name such as Ahmed.
    is_thing = words[0] in _ALSO_NOUNS - ADDRESSING
    return is_thing and any(is_statement(f"it {end}", f"it {end}") for end in ends)


def _is_outcome(rest: list[str]) -> bool:
    if rest[0] in PHRASE_FILLERS:
        # "Call mom about the cancelled trip" is not a report.
        return False
    said = f"it {' '.join(rest)}"
    return not _OTHER_OUTCOMES.isdisjoint(rest) or is_statement(said, said)
