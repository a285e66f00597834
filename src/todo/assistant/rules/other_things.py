"""Rules for requests that are not about tasks: lists, shares, tokens, users, accounts.

The assistant changes none of them, with or without a model. In quotation marks, such a request is
the title of a task.
"""

import re

from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import Line
from todo.assistant.rules.task_match import TaskIndex
from todo.quickadd.marks import ListNames

_DET = r"(?:(?:an?|the|my|our|this|that|another|new|one|more|all|any|some|of) )*"
_NO_LIST_WORD = (
    r"from|off|on|in|at|of|to|and|or|for|about|tasks?|items?|everything|reminders?|notes?|todos?"
)
_WORDS = rf"(?:(?!(?:{_NO_LIST_WORD})\b(?! lists?\b))[\w'-]+ )"
_ACCESS = r"(?:tokens?|(?:access|api|auth) keys?|webhooks?|passwords?)"
_USER = r"(?:(?:user|admin|guest|service|login) ?)?(?:accounts?|users?|admins?)"
_NAMED = r"(?:\Z|:| (?:for|called|named|titled|with|that|which|to)\b| ?[\ufffc(])"
_ACCESS_NOUN = rf"(?:{_WORDS}{{0,2}}?{_ACCESS}|(?:(?:admin|api|new) )?{_USER})"
_MAKE = re.compile(
    rf"(?:create|make|set up|generate|issue|new) (?:me )?{_DET}"
    rf"(?:list(?! (?:of|items?|to)\b)\b|{_WORDS}{{0,3}}?(?:lists?|projects?){_NAMED}"
    rf"|{_ACCESS_NOUN}{_NAMED}).*"
    rf"|(?:give|get) me (?:an?|another|new) {_ACCESS_NOUN}{_NAMED}.*"
    rf"|add (?:(?:an?|another|the|new|shared|public) )*list\b(?! (?:of|items?)\b).*"
    rf"|add (?:(?:an?|another|new) )*(?:{_WORDS}?(?:token|api key)(?:\Z| (?:for|called|named) ).*"
    r"|(?:admin )?(?:user|account|admin)(?:\Z| (?:called|named) .*))"
)
_CHANGE = r"(?:delete|remove|erase|drop|trash|discard|get rid of|rename|retitle|archive)"
_OF_LIST = re.compile(
    rf"{_CHANGE} (?P<x>{_DET}(?:{_WORDS}{{0,5}}?lists?|lists? (?!of\b)\S.{{0,80}}?))"
    r"(?: (?:to|into|as) \S.*)?"
)
_OF_NAME = re.compile(rf"{_CHANGE} (?P<x>\S.{{0,80}}?)(?: (?:to|into|as) (?P<new>\S.*))?")
_OF_ACCESS = re.compile(
    r"(?:delete|remove|erase|revoke|rotate|disable|expire|extend|reset|change|deactivate"
    rf"|close) (?P<x>{_DET}(?:{_ACCESS_NOUN}|user \S+))(?:\Z| (?:for|of|called|named|to|from) .*)"
)
_SHARE = re.compile(
    r"(?:share|unshare|stop sharing) (?P<x>\S.{0,80}?)(?: (?:with|to|and) \S.*)?"
    r"|(?:invite|add) \S.{0,60}? to share (?P<y>\S.{0,80})"
    r"|invite \S.{0,60}? to (?P<z>\S.{0,80})"
    r"|(?:give|grant) \S.{0,60}? access to (?P<w>\S.{0,80})"
    r"|let \S.{0,60}? (?:see|read|edit|change|access) (?P<v>\S.{0,80})"
    r"|make (?P<u>\S.{0,80}?) (?:public|private|shared)"
)
_MAKE_ADMIN = re.compile(
    r"(?:make|promote) \S{1,60}(?: to)?(?: an?)? (?:admin|administrator|owner)"
    r"|(?:give|grant) \S{1,60} (?:admin|write|read|more|full)\b.{0,20} (?:rights?|access|scopes?)"
)
_A_LIST = re.compile(rf"{_DET}(?:.{{1,60}} )?lists?|{_DET}(?:to-?do )?tasks|everything")
_ARTICLE = re.compile(r"\A(?:(?:the|my|our) )+")


def decide_other(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return a refusal if a message is not about tasks; None if it is, or if it names a task."""
    if _is_other(line, context, index):
        return Decision("help", "only-tasks", fields={"message": line.text})
    return None


def _is_other(line: Line, context: RuleContext, index: TaskIndex) -> bool:
    if _MAKE.fullmatch(line.folded) or _MAKE_ADMIN.fullmatch(line.folded):
        return True
    for pattern in (_OF_LIST, _OF_ACCESS, _OF_NAME):
        found = pattern.fullmatch(line.folded)
        if found is None or (pattern is _OF_NAME and not _is_list(line.cut(found), context)):
            continue
        if not index.match(line.cut(found)):
            return True
    shared = _SHARE.fullmatch(line.folded)
    if shared is None:
        return False
    group = next(name for name, value in shared.groupdict().items() if value)
    thing = line.cut(shared, group)
    is_list = _A_LIST.fullmatch(thing.lower()) is not None or _is_list(thing, context)
    return is_list and not index.match(thing)


def _is_list(text: str, context: RuleContext) -> bool:
    name = text[len(text) - len(_ARTICLE.sub("", text.lower())) :]
    names = (*context.list_names, *context.read_only_lists)
    return ListNames(names).find(name) is not None
