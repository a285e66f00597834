"""Persons and animals in titles: "Mom is done" is about mom, not about "Call mom".

If a statement names only a person of a longer title, the user is asked which task is meant. Names
are recognized by their capital letter and the verb before them; "Read Dune" names a thing.
"""

import re

from todo.assistant.rules.title_words import Word, is_same, read_phrase, read_title
from todo.assistant.rules.vocabulary import ADDRESSING, COMMANDS, LIVING, VERBS
from todo.assistant.rules.words import cut_words

_OWNER_FIRST = re.compile(r"\s*[^\W\d_]+['\u2019]s\b", re.IGNORECASE)
_ARTICLE = re.compile(r"\s*(?:the|my|our|an?|this|that|these|those)\s", re.IGNORECASE)
_LINKS = frozenset({"about", "at", "by", "for", "from", "to", "with"})
# Verbs before a person or a thing: "Pay Ben" is as likely as "Pay Vodafone".
_OF_ANY = ADDRESSING | {"pay", "take"}


def names_only_persons(phrase: str, title: str) -> bool:
    """Return whether a phrase shares only persons with a title that also has other words."""
    said = read_phrase(phrase)
    words = read_title(title)
    named = [word for word in words if any(is_same(each, word) for each in said)]
    persons = _find_persons(title, has_article=_ARTICLE.match(phrase) is not None)
    return bool(named) and len(named) < len(words) and set(named) <= set(persons)


def has_other_object(phrase: str, title: str) -> bool:
    """Return whether a title has an object between its verb and the persons of a phrase.

    "I emailed Ben" does not complete "Send the invoice to Ben".
    """
    if not names_only_persons(phrase, title):
        return False
    said, words = read_phrase(phrase), read_title(title)
    first = next(at for at, word in enumerate(words) if any(is_same(each, word) for each in said))
    return first > 1


def _find_persons(title: str, *, has_article: bool) -> list[Word]:
    """Return the words of a title that are persons, animals or other names.

    With `has_article`, as in "the dentist" or "the Lisbon thing", the phrase contains no names.
    """
    by_text = {word.text: word for word in read_title(title)}
    typed = cut_words(title)
    texts = [text.casefold() for text in typed]
    is_thing = bool(texts) and texts[0] in (VERBS | COMMANDS) - _OF_ANY
    is_owner = _OWNER_FIRST.match(title) is not None
    persons = []
    for at, text in enumerate(texts):
        is_thing = is_thing and text not in _LINKS
        # The first word of a title is capitalized anyway.
        is_written = typed[at][:1].isupper() and (at > 0 or is_owner)
        is_addressed = at > 0 and texts[at - 1] in ADDRESSING
        is_name = text.isalpha() and (is_written or is_addressed) and not (is_thing or has_article)
        if text in by_text and (text.removesuffix("s") in LIVING or is_name):
            persons.append(by_text[text])
    return persons
