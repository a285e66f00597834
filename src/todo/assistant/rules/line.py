"""Message normalized for the rules: folded, without politeness, with quotations masked.

The folded text has the same length as the message, so a match in it can be cut out of the message
as typed.
"""

import re
from dataclasses import dataclass

from todo.quickadd.literals import find_literals

QUOTED = "\ufffc"
"""Replacement for each character of a quotation, whose words are never a command."""

_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u02bc\u2018\u00b4`"), "'")
_OPENING = re.compile(
    r"(?:(?:hey|hi|hello|ok|okay|so|well|um|uh|oh|and|also|then|please|pls|plz|kindly|alright"
    r"|right|actually|btw)(?=[ ,.!:]|\Z)[ ,.!:-]*)+"
)
_GREETINGS = {"hey", "hi", "hello", "ok", "okay", "right", "well", "so"}
# Words that continue a message after a greeting, even if capitalized.
_COMMANDS = {
    *("i", "i'm", "i've", "i'd", "we", "can", "could", "please", "add", "create", "delete"),
    *("remove", "complete", "mark", "remind", "move", "show", "list", "rename", "change", "make"),
    *("undo", "what", "what's", "which", "when", "how", "do", "is", "are", "don't", "the", "my"),
    "let's",
}
_REQUEST = re.compile(
    r"(?:can|could|would|will) (?:you|u) (?:(?:please|pls|kindly|also|just|maybe) )*"
    r"|(?:i'd|i would) like you to |i want you to |i need you to |you can |go ahead and "
    r"|(?:i'd like to|i would like to|i want to|let's|let us|can we|could we|can i|could i|may i)"
    r" (?=(?:add|create|put|note) )"
)
_MISSPELLED = {
    "remimd": "remind", "remid": "remind", "reminf": "remind", "remnid": "remind",
    "delet": "delete", "delte": "delete", "deleet": "delete", "detele": "delete",
    "compelte": "complete", "complet": "complete", "complte": "complete", "comlete": "complete",
    "reschedul": "reschedule", "reschdule": "reschedule", "reshedule": "reschedule",
    "rescedule": "reschedule", "postone": "postpone", "pospone": "postpone", "renmae": "rename",
    "schedul": "schedule", "craete": "create", "ceate": "create",
}  # fmt: skip
_CLOSINGS = (" please", " pls", " plz", " thanks", " thank you", " thx", " for me", " ty", " ok")
# Words that make thanks part of the text: "remind me to say thanks", "cards saying thank you".
_CLOSING_WANTED = re.compile(
    r"(?:\A|.* )(?:say|saying|says|said|write|writing|send|sending|shout|whisper|sing|spell|read"
    r"|to|for|with|without|of|and|or|is|are|was|be|a|an|the|my|our|your|his|her|their|this|that"
    r"|no|big|many|more|quick|short|call|called|titled|named)\Z"
)
_CLOSING_MARK = re.compile(r"(?<=[^\W\d_][^\W\d_])[.!?]+\Z|(?<=[^\W_])\?+\Z|(?<=\s)[.?]+\Z")
_QUESTION = re.compile(
    r"(?:should|shall|what|what's|whats|when|when's|where|where's|which|who|who's|whose|whom|how"
    r"|how's|why|is|isn't|are|aren't|am|was|were|do (?:i|we|you|they|any)|does|did|don't i"
    r"|doesn't|didn't|has|have (?:i|we)"
    r"|can (?:i|we|it)|could (?:i|we|it)|may|might|would (?:i|we|it|that)|any|anything)\b"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A normalized message of one line.

    Attributes:
        text: Message as typed, without surrounding words of politeness.
        folded: The same text in lower case, with straight apostrophes and masked quotations.
        is_question: Whether it is a question; "can you add" is a request.
    """

    text: str
    folded: str
    is_question: bool

    def cut(self, found: re.Match[str], group: str = "x") -> str:
        """Return the text that a group of a pattern matched, as typed."""
        return self.text[found.start(group) : found.end(group)].strip()


def make_line(message: str) -> Line:
    """Return the normalized line of a message."""
    text = message.strip()
    folded = fold(text)
    start = _end_of(_OPENING, folded, 0)
    requested = _end_of(_REQUEST, folded, start)
    is_request = requested > start
    start = _end_of(_OPENING, folded, requested)
    end = _find_end(folded)
    is_question = not is_request and (
        folded.endswith("?") or _QUESTION.match(folded, start) is not None
    )
    start = 0 if _is_name(text, start) else min(start, end)
    first = folded[start:end].partition(" ")[0]
    if first in _MISSPELLED:
        text = f"{text[:start]}{_MISSPELLED[first]}{text[start + len(first) :]}"
        folded = f"{folded[:start]}{_MISSPELLED[first]}{folded[start + len(first) :]}"
        end += len(_MISSPELLED[first]) - len(first)
    return Line(text[start:end], folded[start:end], is_question)


def fold(text: str) -> str:
    """Return a text of the same length, normalized for pattern matching."""
    chars = [low if len(low := char.lower()) == 1 else char for char in text]
    for start, end in find_literals(text):
        if text[start] != "\\":
            chars[start:end] = QUOTED * (end - start)
    folded = "".join(chars).translate(_APOSTROPHES)
    return "".join(" " if char.isspace() else char for char in folded)


def is_quotation(text: str) -> bool:
    """Return whether a text is entirely in quotation marks."""
    return next(find_literals(text), None) == (0, len(text)) and not text.startswith("\\")


def unquote(text: str) -> str:
    """Return a text without surrounding quotation marks."""
    text = text.strip()
    return text[1:-1].strip() if is_quotation(text) else text


def _is_name(text: str, start: int) -> bool:
    """Return whether an opening phrase is the beginning of a name, as in "Hello Kitty"."""
    words = text[:start].split()
    return (
        len(words) == 1
        and words[0].lower() in _GREETINGS
        and words[0][0].isupper()
        and text[start : start + 1].isupper()
        and text[start:].split(" ", 1)[0].lower() not in _COMMANDS
    )


def _end_of(pattern: re.Pattern[str], folded: str, start: int) -> int:
    found = pattern.match(folded, start)
    return start if found is None else found.end()


def _find_end(folded: str) -> int:
    """Return the end of a text without closing thanks and punctuation."""
    end = len(folded)
    while True:
        found = _CLOSING_MARK.search(folded, max(0, end - 10), end)
        shorter = end if found is None else found.start()
        shorter = len(folded[:shorter].rstrip())
        for closing in _CLOSINGS:
            rest = folded[: shorter - len(closing)]
            if folded.endswith(closing, 0, shorter) and not _CLOSING_WANTED.match(rest):
                shorter = len(rest.rstrip(" ,"))
        if shorter == end:
            return end
        end = shorter
