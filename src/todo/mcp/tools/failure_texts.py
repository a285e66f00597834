"""Texts for models about service errors, in the terms of the tools."""

from todo.mcp.tool import FailureTexts

_NEXT_STEPS = {
    "insufficient-scope": "use another tool, or ask the user for a token with that scope.",
    "not-found": "find the right id with find_tasks or lists_and_tags.",
    "read-only": "use a list that you may write to; lists_and_tags shows your access.",
    "version-mismatch": "read it again with find_tasks, and repeat with its new version.",
    "precondition-required": "repeat the call with what is missing.",
    "validation-failed": "correct the arguments, and repeat the call.",
    "batch-failed": "correct these items, and repeat the whole call: nothing was changed.",
    "idempotency-key-reused": "repeat with a new idempotency_key.",
    "ambiguous-text": "repeat the call with one of the choices.",
    "conflict": "do less at once, or change what the message names first.",
    "quota-exceeded": "tell the user: something must be deleted before more can be added.",
    "undo-conflict": "read what happened since with changes_since.",
    "rate-limited": "wait, then repeat the call.",
    "plan-outdated": "call delete_tasks with the tasks again; that makes a new plan.",
    "plan-expired": "call delete_tasks with the tasks again; that makes a new plan.",
    "plan-applied": "no further step is needed: the plan was already applied.",
    "plan-too-large": "delete fewer tasks at once.",
    "too-many-plans": "wait until one of the plans expires.",
}
# Causes of errors whose details use terms of the HTTP API.
_MESSAGES = {
    "version-mismatch": "It was changed since.",
    "validation-failed": "The arguments are invalid; nothing was done.",
    "batch-failed": "Nothing was changed: some items cannot be done.",
    "idempotency-key-reused": "This idempotency_key was used with another call.",
    "too-many-plans": "There are too many plans that are neither confirmed nor expired.",
    "plan-outdated": "The plan is outdated, so nothing was deleted.",
}

FAILURE_TEXTS = FailureTexts(_MESSAGES, _NEXT_STEPS)
