"""A database with a million tasks, and what its queries did: the plans that auto_explain logged."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.cluster import Cluster

BIG = "big"
GUEST = "guest"
"""Sees the big owner's list, and may write in it."""
LIST = "00000000-0000-7000-8000-00000000000a"
"""Every fourth of the big owner's tasks is in it."""
PARENT = "00000000-0000-7000-8000-00000000000b"
"""Every fiftieth of the big owner's tasks is right below it."""
RARE = "needle"
"""A word of every two thousandth of the big owner's tasks; `chore` is a word of all."""
TAG = "home"
RUN = "a-large-run"

_NAMES = {"BIG": BIG, "GUEST": GUEST, "LIST": LIST, "PARENT": PARENT, "RARE": RARE, "TAG": TAG}
_INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname)"
    # The dearest first, so that the builders end together.
    " ORDER BY indexdef LIKE '%gin%' DESC, tablename = 'task' DESC"
)
# No foreign key is checked row by row.
_QUICK = "SET session_replication_role = replica; SET maintenance_work_mem = '256MB'; "
_BUILDERS = 3
_LOGGED = re.compile(r"duration: [\d.]+ ms  plan:\n((?:\t.*\n)+)")


def fill(cluster: Cluster, url: str) -> None:
    """Fill the empty tables of a database, and let it log the plan of all that it does next."""
    indexes = cluster.query(url, _INDEXES)
    for name, _ in indexes:
        cluster.query(url, f"DROP INDEX {name}")
    text = Path(__file__).with_suffix(".sql").read_text().format(**_NAMES, RUN=RUN)
    cluster.query(url, _QUICK + text)
    with ThreadPoolExecutor(_BUILDERS) as builders:
        list(builders.map(lambda index: cluster.query(url, _QUICK + index[1]), indexes))
    cluster.query(url, "VACUUM ANALYZE")
    name = url.rpartition("?")[0].rpartition("/")[2]
    for option, value in (
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_timing", "off"),
        ("auto_explain.log_buffers", "on"),
        ("auto_explain.log_format", "json"),
        # What foreign keys and triggers do.
        ("auto_explain.log_nested_statements", "on"),
    ):
        cluster.query(url, f"ALTER DATABASE {name} SET {option} = '{value}'")


@dataclass(frozen=True)
class Plan:
    """Plan of one executed statement.

    Attributes:
        statement: Its text.
        scanned: Tables of which it read every row.
        rows: Rows that it read of tables and indexes, those thrown away too.
        pages: Pages of tables and indexes that it touched.
    """

    statement: str
    scanned: frozenset[str]
    rows: int
    pages: int


class PlanLog:
    """Reads the server's log as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size

    def read(self) -> list[Plan]:
        """Return the plans since the last time."""
        while True:
            with self._path.open() as file:
                file.seek(self._read)
                logged = file.read()
                end = file.tell()
            try:
                plans = [_plan(json.loads(found)) for found in _LOGGED.findall(logged)]
            except json.JSONDecodeError:
                # Of what is done in the background, a part may have been written.
                time.sleep(0.01)
                continue
            self._read = end
            return plans


def _plan(logged: dict[str, Any]) -> Plan:
    nodes = list(_walk(logged["Plan"]))
    scans = [node for node in nodes if "Scan" in node["Node Type"] and "Actual Rows" in node]
    # Not those of a bitmap, which are bits: the pages tell of it.
    top = logged["Plan"]
    return Plan(
        statement=logged["Query Text"],
        scanned=frozenset(n["Relation Name"] for n in nodes if n["Node Type"] == "Seq Scan"),
        rows=sum(_count(node) for node in scans if "Relation Name" in node),
        pages=top["Shared Hit Blocks"] + top["Shared Read Blocks"],
    )


def _count(node: dict[str, Any]) -> int:
    each = sum(
        node.get(key, 0)
        for key in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    )
    return int(each * node["Actual Loops"])


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)
