"""Words of titles and of phrases that name tasks, and their comparison.

A change requires the same word. A verb may have another form, and a noun another number, but "Jan"
is not "Jane", and 20261 is not 20262. Similar words only suggest what a user may have meant.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from todo.assistant.rules.vocabulary import ADDRESSING, COMMANDS, PHRASE_FILLERS, TASK_NOUNS, VERBS
from todo.assistant.rules.words import cut_words, is_form, is_near, is_plural, stem

_KNOWN_VERBS = VERBS | COMMANDS
_BEFORE_VERBS = frozenset({"and", "or", "then", "to"})
_ARTICLES = frozenset({"a", "all", "an", "my", "our", "some", "the", "these", "those"})
_DIGIT = re.compile(r"\d")


class Word(NamedTuple):
    """A word of a title or phrase.

    Attributes:
        text: Text in lower case.
        stem: Part that similar words share.
        is_verb: Whether it can be a verb, which has other forms.
        is_fixed: Whether it can be a name, which has no plural.
    """

    text: str
    stem: str
    is_verb: bool = False
    is_fixed: bool = False


@lru_cache(8192)
def read_title(title: str) -> tuple[Word, ...]:
    """Return the words that identify a title; cached, because titles recur in every message."""
    return _keep(_read(cut_words(title)))


def read_phrase(phrase: str) -> tuple[Word, ...]:
    """Return the distinct words of a phrase that identify a task."""
    words = [make_word(text) for text in cut_words(phrase)]
    return _keep(list(dict.fromkeys(words)))


def make_word(text: str) -> Word:
    """Return a word of a phrase."""
    folded = text.casefold()
    return Word(folded, stem(folded), is_fixed=_is_name(text))


def is_same(word: Word, of_title: Word) -> bool:
    """Return whether a word of a phrase matches a word of a title."""
    if word.text == of_title.text:
        return True
    if _DIGIT.search(word.text) or _DIGIT.search(of_title.text):
        return False
    if of_title.is_verb and is_form(word.text, of_title.text):
        return True
    return not (word.is_fixed or of_title.is_fixed) and is_plural(word.text, of_title.text)


def is_similar(word: Word, other_stem: str) -> bool:
    """Return whether a user may have meant a word with another stem."""
    if word.stem == other_stem:
        return _DIGIT.search(word.text) is None
    return is_near(word.stem, other_stem)


def _read(texts: Sequence[str]) -> list[Word]:
    words: list[Word] = []
    of_person = False
    before = ""
    for number, text in enumerate(texts):
        folded = text.casefold()
        is_verb = not number or before in _BEFORE_VERBS
        is_known = is_verb and folded in _KNOWN_VERBS
        is_name = (_is_name(text) and not is_known) or (of_person and not is_verb)
        words.append(Word(folded, stem(folded), is_verb, is_name))
        if folded in _ARTICLES or (is_verb and number):
            of_person = False
        of_person = of_person or (is_verb and folded in ADDRESSING)
        before = folded
    return words


def _is_name(text: str) -> bool:
    return text[:1].isupper() or _DIGIT.search(text) is not None


def _keep(words: Sequence[Word]) -> tuple[Word, ...]:
    content = [word for word in words if word.text not in PHRASE_FILLERS]
    named = [word for word in content if word.text not in TASK_NOUNS]
    return tuple(named or content)
