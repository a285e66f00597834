"""A database of advisories for the tests: a few that matter, among as many as a whole one has."""

from __future__ import annotations

import functools
from typing import Any

from deploy.scan import osv


def render_database(*records: dict[str, Any]) -> list[dict[str, Any]]:
    """The records, with those that show that nothing was cut off."""
    known = [
        _record(f"PYSEC-KNOWN-{at}", package, version, flaw)
        for at, (package, version, flaw) in enumerate(osv.CANARIES)
    ]
    return [*known, *_others(), *records]


@functools.cache
def _others() -> tuple[dict[str, Any], ...]:
    # Made once: there are thousands of them.
    return tuple(_record(f"PYSEC-OTHER-{at}", f"other-{at}", "1") for at in range(osv.MIN_RECORDS))


def _record(identity: str, package: str, version: str, *aliases: str) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": package}, "versions": [version]}
    return {
        "id": identity,
        "modified": "2025-01-02T03:04:05Z",
        "aliases": list(aliases),
        "affected": [affected],
    }
