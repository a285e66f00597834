"""Lines that say what became of a task: its title, and "cancelled", "no longer needed" or "urgent".

They begin like something to do, and are about the task that exists.
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
    # As people say it in other languages.
    "abgeschlossen", "bezahlt", "comprado", "erledigt", "fertig", "gekauft", "gemacht", "hecha",
    "hecho", "lista", "listo", "pagado", "terminado", "ya",
}  # fmt: skip
_DENIAL = re.compile(r"(?<!\S)(?:no|not|never)(?= (?!later\b|more than\b|\d)|\W*\Z)")
_ALSO_NOUNS = frozenset({
    "book", "call", "email", "exchange", "iron", "mail", "order", "paint", "phone", "plant", "rent",
    "repair", "return", "ring", "ship", "visit", "water",
})  # fmt: skip
"""Errands that can be the thing of a statement as well: "order arrived"."""
_MAX_REST = 5


def find_reported(text: str, context: RuleContext) -> TaskName | None:
    """Return the open task whose title a line has, with words that say what became of it."""
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
    """Return whether a line without a due says how things are: "order arrived", "buy no milk".

    Args:
        folded: The line.
        words: Its words, at least two.
    """
    if _DENIAL.search(folded) or words[-1] in _OTHER_OUTCOMES - {"asap", "soon", "urgently"}:
        return True
    # Not in the middle: "email Ada about the cancelled trip".
    ends = {words[1], words[-1]}
    if words[0] in _ALSO_NOUNS and not CHANGED.isdisjoint(ends):
        return True
    # After "call", it can be the name of Ahmed.
    is_thing = words[0] in _ALSO_NOUNS - ADDRESSING
    return is_thing and any(is_statement(f"it {end}", f"it {end}") for end in ends)


def _is_outcome(rest: list[str]) -> bool:
    if rest[0] in PHRASE_FILLERS:
        # "Call mom about the cancelled trip" is something else.
        return False
    said = f"it {' '.join(rest)}"
    return not _OTHER_OUTCOMES.isdisjoint(rest) or is_statement(said, said)
