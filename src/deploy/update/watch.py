"""Comparison of an instance with its siblings by their readiness and metrics."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.stack.management import Figures

_UNREADY = 3
"""Number of consecutive failed checks that count as a fault; a slow database can cause one."""
_MIN_ERRORS = 3
_MORE_ERRORS = 2.0
_ERRORS = 0.01
"""Maximum share of errors, or `_MORE_ERRORS` times the siblings' share if that is higher."""
_MORE_LAG = 10.0
_LAG_S = 0.1
_MIN_LAG_SAMPLES = 5


@dataclasses.dataclass(frozen=True)
class Look:
    """Observation of an instance; `figures` are its metrics, or None if it did not respond."""

    ready: bool
    figures: Figures | None


def find_problem(mine: Sequence[Look], siblings: Sequence[Sequence[Look]]) -> str:
    """Return the problem of an instance, or an empty string.

    Each sequence contains the observations of one instance, in order of time.
    """
    return (
        _judge_readiness(mine, siblings)
        or _judge_errors(mine, siblings)
        or _judge_lag(mine, siblings)
    )


def _judge_readiness(mine: Sequence[Look], siblings: Sequence[Sequence[Look]]) -> str:
    recent = mine[-_UNREADY:]
    if len(recent) < _UNREADY or any(look.ready for look in recent):
        return ""
    # If all siblings have the same problem, the image is not the cause.
    if siblings and not any(all(look.ready for look in each[-_UNREADY:]) for each in siblings):
        return ""
    return "it is not ready"


def _judge_errors(mine: Sequence[Look], siblings: Sequence[Sequence[Look]]) -> str:
    errors, requests = _count(mine)
    theirs = [_count(each) for each in siblings]
    all_errors, all_requests = (sum(each[at] for each in theirs) for at in (0, 1))
    share = errors / max(requests, 1)
    their_share = all_errors / max(all_requests, 1)
    if errors < _MIN_ERRORS or share <= max(_ERRORS, _MORE_ERRORS * their_share):
        return ""
    return f"{errors} of {requests} answers are server errors (5xx)"


def _judge_lag(mine: Sequence[Look], siblings: Sequence[Sequence[Look]]) -> str:
    lag_s = _find_lag(mine)
    theirs = [found for each in siblings if (found := _find_lag(each)) is not None]
    if lag_s is None or not theirs or lag_s <= _LAG_S + _MORE_LAG * max(theirs):
        return ""
    return f"its event loop is {lag_s:.2f} s late, and that of the others {max(theirs):.3f} s"


def _figures(looks: Sequence[Look]) -> list[Figures]:
    return [look.figures for look in looks if look.figures is not None]


def _count(looks: Sequence[Look]) -> tuple[int, int]:
    """Return the numbers of 5xx and of all responses between the first and the last look."""
    found = _figures(looks)
    if not found:
        return 0, 0
    first, last = found[0].requests, found[-1].requests
    answers = {status: count - first.get(status, 0) for status, count in last.items()}
    return answers.get("5xx", 0), sum(answers.values())


def _find_lag(looks: Sequence[Look]) -> float | None:
    """Return the mean lag of the event loop in seconds between the first and last look, or None."""
    found = [each.loop_lag for each in _figures(looks) if each.loop_lag is not None]
    if not found or found[-1].samples - found[0].samples < _MIN_LAG_SAMPLES:
        return None
    first, last = found[0], found[-1]
    total_s = last.mean_s * last.samples - first.mean_s * first.samples
    return total_s / (last.samples - first.samples)
