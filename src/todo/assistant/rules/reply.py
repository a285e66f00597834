"""Rules for replies: undo, yes and no to a plan, a greeting, a request for help.

Only whole messages match: "undo" does, "undo the zip" does not. A model decides none of these,
because the texts that it has read must not confirm a plan or undo changes.
"""

import re

from todo.assistant.rules.decision import Decision

_LONGEST = 200
_ENDS = " .,!?:;\u2026\U0001f44d\U0001f642\U0001f60a"
_IT = r"(?:it|that|this|them|those)"
_LAST = (
    rf"(?:{_IT}|the last (?:one|thing|change|step|action)|(?:my|your|the) last (?:change|action"
    rf"|step)"
    r"|your changes?|the changes?|what you (?:just )?did|everything you (?:just )?did)"
)
_OPENING = (
    r"(?:(?:oops|whoops|ooops|oh|no|nope|wait|sorry|ah|argh|damn|hmm|please|pls|ok|okay|hey"
    r"|can you|could you|actually)[,.! ]+)*"
)
_CLOSING = r"(?:[, ]+(?:please|pls|thanks|thank you|now|again|quickly|for me))*"
_UNDO = re.compile(
    _OPENING
    + rf"(?:undo(?: {_LAST})?|(?:revert|reverse|roll back|rollback|take back) {_LAST}"
    + rf"|(?:take|roll|put) {_IT} back|that was (?:a mistake|wrong)[,. ]+undo(?: {_IT})?)"
    + _CLOSING
)
_UNDO_RUN = re.compile(
    _OPENING
    + r"(?:undo|revert|roll back|take back) (?:the )?run (?P<run>[\w.:-]{1,100})"
    + _CLOSING,
    re.IGNORECASE,
)
_ALL = rf"(?:{_IT}|all of them|them all)"
_YES = r"(?:yes|yep|yeah|yup|sure|absolutely|definitely|of course)"


def _compile_consent(*verbs: str) -> re.Pattern[str]:
    """Return the pattern of a "yes", which may state the action with one of these verbs."""
    do = f"(?:{'|'.join(('do', 'apply', 'confirm', 'go ahead with', *verbs))})"
    go = (
        rf"(?:{do} {_ALL}|go ahead|i'm sure|i am sure|i confirm(?: {_IT})?|confirm|confirmed"
        r"|proceed|apply)"
    )
    # "ok" may end a conversation, so it confirms only together with an action.
    return re.compile(
        rf"(?:(?:ok|okay)[,.! ]+)?"
        rf"(?:{_YES}(?:[,.! ]+{_YES})*(?:[,.! ]+{go})?|{go}|go for it|y)" + _CLOSING
    )


_CONFIRM = _compile_consent()
# "complete it" does not confirm a deletion.
_CONFIRM_ONLY = {
    frozenset({"delete"}): _compile_consent("delete", "remove"),
    frozenset({"complete"}): _compile_consent("complete"),
}
_DECLINE = re.compile(
    rf"(?:(?:no|nope|nah|stop|wait|don't|do not|never mind|nevermind|cancel|abort|leave {_IT}"
    rf"|cancel {_IT}|keep (?:{_ALL}|all|everything)|leave (?:{_ALL}|all|everything)(?: (?:alone"
    rf"|as (?:it is|they are)))?|n|no way"
    rf"|(?:please )?(?:don't|do not) (?:do|delete|touch|change|remove|apply) {_ALL}|forget it"
    rf"|rather not|(?:absolutely|certainly|definitely|of course|please) not|hell no"
    r"|please (?:no|don't)|\U0001f44e|i changed my mind|not now|better not|no thanks"
    r"|no thank you)(?:[,.! ]+|\Z))+"
    r"(?:please|thanks|thank you)?"
)
# Words that do not answer a plan, so that it is shown again.
_WAVER = re.compile(
    r"(?:(?:ok|okay|okey|k|kk|hm+|uh+|um+|well|right|alright|all right|fine|so|oh|ah|aha|really"
    r"|sure|maybe|perhaps|not sure|i'm not sure|i don't know|let me think|let me see|i see"
    r"|sounds good|looks good|wow|huh)(?:[,.!? \u2026]+|\Z))+"
)
_THING = r"(?:one|ones|task|tasks|thing|things|plan|change|changes|deletion|deletions)"
_EFFECT = r"(?:delete|remove|change|complete|move|reopen|add|do|mean|affect)"
_ABOUT_PLAN = re.compile(
    rf"(?:and |but |so |wait |ok |okay )?(?:(?:which|what)(?: {_THING})?"
    rf"(?: (?:is|are|was|were) (?:{_IT}|they|these|the plan))?"
    rf"|(?:what|which {_THING}) (?:does|will|would|do|did|is|are)"
    rf" (?:{_IT}|they|you|the plan|(?:a )?yes)(?: going to)?"
    rf"(?: {_EFFECT})?|(?:what|which {_THING}) (?:will|would|is|are)(?: going to)?(?: be| get)?"
    r" (?:deleted|removed|changed|completed|moved|done|affected|gone|waiting)"
    r"|what (?:happens|waits)(?: (?:then|now|next|if i (?:say|write|answer) yes))?"
    rf"|(?:show|list|repeat|explain|describe)(?: me)?(?: again)? (?:{_IT}|(?:the|your) (?:plan"
    r"|changes))(?: again)?|(?:say|show|tell)(?: me)?(?: (?:it|that))? again"
    rf"|are you sure(?: about {_IT})?|is (?:{_IT}|this) (?:all|everything)|why)"
    r"(?: (?:exactly|again|then|now|please))?"
)
# Words that are not an answer, but show that the user wants something else.
_TURNS_AWAY = re.compile(
    r"\b(?:actually(?!,? (?:yes|yep|sure|ok))|instead|rather|i mean|meant|the others?|another"
    r"|different|wrong|but|except|only the)\b"
    r"|(?:\bnot|n't) (?:want|that|this|those|these|it|them|the|my|now|yet)\b"
)
_GREETING = re.compile(
    r"(?:hi|hello|hey|hey there|hi there|hello there|good (?:morning|afternoon|evening|night|day)"
    r"|howdy|yo|greetings|moin|bye|goodbye|see you|see ya)"
    r"(?:[, ]+(?:assistant|bot|everyone|everybody|buddy|friend))?"
)
_THANKS = re.compile(
    r"(?:(?:ok|okay|great|perfect|cool|nice|awesome|wonderful|super|good|brilliant"
    r"|lovely)[,.! ]+)*"
    r"(?:thanks|thank you|thx|ty|cheers|much appreciated|well done|good job|great job|nice one)"
    r"(?:[, ]+(?:a lot|so much|very much|a bunch|again|a million|that's all|you're (?:great"
    r"|the best)"
    r"|you are (?:great|the best)|for (?:your help|the help|that|everything)))*"
    r"|(?:great|perfect|cool|nice|awesome|wonderful|excellent|super|brilliant|good|lovely)"
)
_HELP = re.compile(
    r"(?:help|help me|help please|what (?:can|do) you do|what can i (?:do|say|ask|write)(?: here)?"
    r"|how (?:do|can) i use (?:this|you|it)|how does (?:this|it) work|what are you(?: for)?"
    r"|who are you|what are your (?:features|commands)|commands|\?+)"
)


def decide_reply(message: str, open_plan: frozenset[str] | None) -> Decision | None:
    """Return the decision about a message that is a reply as a whole, or None."""
    if len(message) > _LONGEST:
        return None
    text = message.replace("\u2019", "'").strip()
    run = _UNDO_RUN.fullmatch(text.strip(_ENDS))
    if run is not None:
        return Decision("undo", run_id=run["run"])
    folded = " ".join(text.lower().split())
    words = folded.strip(_ENDS)
    if _UNDO.fullmatch(words):
        return Decision("undo")
    answer = None
    if open_plan is not None:
        answer = _decide_answer(words, open_plan, is_question=folded.endswith("?"))
    return answer or _decide_small_talk(words or folded)


def turns_away(message: str) -> bool:
    """Return whether a message rejects the pending plan: "actually, the bread instead"."""
    return _TURNS_AWAY.search(message[:_LONGEST].replace("\u2019", "'").lower()) is not None


def _decide_answer(words: str, open_plan: frozenset[str], *, is_question: bool) -> Decision | None:
    """Return a yes or no to the pending plan, or help for a question about it; otherwise None."""
    if not is_question:
        if _CONFIRM_ONLY.get(open_plan, _CONFIRM).fullmatch(words):
            return Decision("confirm")
        if _DECLINE.fullmatch(words):
            return Decision("decline")
    is_about = open_plan and (_WAVER.fullmatch(words) or _ABOUT_PLAN.fullmatch(words))
    return Decision("help", "plan") if is_about else None


def _decide_small_talk(words: str) -> Decision | None:
    if _HELP.fullmatch(words):
        return Decision("help")
    if _GREETING.fullmatch(words):
        return Decision("help", "greeting")
    return Decision("help", "thanks") if _THANKS.fullmatch(words) else None
