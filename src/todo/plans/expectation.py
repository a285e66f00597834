"""Expected changes of a plan, for comparison with the actual changes when it is applied.

Two runs of the same operations differ in generated IDs and times, and the next occurrence of a
task may depend on the day. Everything else must be the same.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from todo.writes.hash_chain import Entry

_DIGEST_BYTES = 12
_TIMES = ("created_at", "updated_at", "completed_at")
_MADE = ("id", "position")
_NAME = "name"
"""Operation of a pseudo-change: a list does not change, but its name must be the same."""
_DEPENDS_ON_DAY = ("due_date", "due_at", "recurrence")


Predicted = Mapping[str, object]
"""Fields of a task, list or share."""


class Expected(NamedTuple):
    """One expected change of a plan.

    Attributes:
        kind: Kind of the item: task, list or share.
        id: ID of the item; None for a new one.
        version: Version before the change; None if the item has no version.
        operation: Operation in the journal, or `_NAME`.
        digest: Digest of the other values that must be the same.
    """

    kind: str
    id: str | None
    version: int | None
    operation: str
    digest: str


def predict(entry: Entry) -> Predicted | None:
    """Return the state after a change, without values that are known only when it is made."""
    if entry.after is None:
        return None
    decided_later = _TIMES if entry.before else (*_TIMES, *_MADE)
    after: Predicted = orjson.loads(entry.after)
    return {name: value for name, value in after.items() if name not in decided_later}


def expect(recorded: Sequence[tuple[str, Entry]], list_names: Mapping[str, str]) -> list[Expected]:
    """Convert recorded changes to the form in which expected and actual changes are compared.

    Each change comes with the owner of its journal. For a share, the name of the list must also
    stay the same, because people decide by that name.
    """
    changed = {entry.entity_id for _, entry in recorded if entry.kind == "list"}
    shared = {entry.list_id for _, entry in recorded if entry.kind == "share"} - changed
    names = [
        Expected("list", list_id, None, _NAME, _digest(name))
        for list_id, name in list_names.items()
        if list_id in shared
    ]
    return [_expect(owner, entry) for owner, entry in recorded] + names


def _expect(owner: str, entry: Entry) -> Expected:
    before = orjson.loads(entry.before) if entry.before else {}
    after = predict(entry)
    if after and not before and after.get("previous_id"):
        after = {name: value for name, value in after.items() if name not in _DEPENDS_ON_DAY}
    version = before.get("version")
    # A share has no version.
    state = entry.before if version is None else None
    compared = [owner, entry.list_id, state, after]
    thing = entry.entity_id if before else None
    return Expected(entry.kind, thing, version, entry.operation, _digest(compared))


def _digest(compared: Any) -> str:  # noqa: ANN401 - JSON
    text = orjson.dumps(compared, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()


def encode_expected(expected: Iterable[Expected]) -> str:
    """Encode expected changes as JSON."""
    return orjson.dumps([list(each) for each in expected]).decode()


def decode_expected(text: str) -> list[Expected]:
    """Decode expected changes from JSON."""
    return [Expected(*each) for each in orjson.loads(text)]


def find_differences(
    expected: Iterable[Expected], found: Iterable[Expected]
) -> list[dict[str, object]]:
    """Return the differences as `errors` of an outdated plan; the order does not matter."""
    wanted, there = Counter(expected), Counter(found)
    missing, surplus = list((wanted - there).elements()), list((there - wanted).elements())
    others: dict[tuple[str, str | None], list[Expected]] = defaultdict(list)
    for each in surplus:
        others[each.kind, each.id].append(each)
    errors = []
    for each in missing:
        alternatives = others[each.kind, each.id]
        errors.append(_compare(each, alternatives.pop(0) if alternatives else None))
    errors += [
        _explain(each, "also-changed", f"would be changed as well now ({each.operation})")
        for rest in others.values()
        for each in rest
    ]
    return errors


def _compare(expected: Expected, found: Expected | None) -> dict[str, object]:
    if found is None:
        message = f"would no longer be changed ({expected.operation})"
        return _explain(expected, "not-changed", message)
    if found.version != expected.version:
        message = f"now has version {found.version}; the plan is for version {expected.version}"
        return _explain(expected, "changed-since", message)
    if expected.operation == _NAME:
        return _explain(expected, "changed-since", "now has a different name")
    message = f"would become something else now ({found.operation})"
    return _explain(expected, "other-result", message)


def _explain(each: Expected, code: str, message: str) -> dict[str, object]:
    field = f"{each.kind}/{each.id or 'new'}"
    return {"in": "plan", "field": field, "code": code, "message": message}
