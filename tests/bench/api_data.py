"""The same tasks for both sides, made by PostgreSQL itself: a million take seconds.

A title has four words of 400, so a word is in about every hundredth title; a description has words
of its own. Ids, times and texts follow from a task's number alone.
"""

from __future__ import annotations

OWNERS = 10
TASKS_EACH = 10_000
_SYLLABLES = (
    "bar", "cal", "den", "fol", "gan", "hem", "jor", "kil", "lum", "mor",
    "nad", "pel", "quo", "ras", "sil", "tam", "ulf", "ven", "wex", "zor",
)  # fmt: skip
WORDS = tuple(first + second for first in _SYLLABLES for second in _SYLLABLES)

_TITLE = (
    "words[1 + m % 400] || ' ' || words[1 + m * 17 % 400] || ' ' || "
    "words[1 + m / 7 % 400] || ' ' || words[1 + m / 13 % 400]"
)

# What is stored, from the number `n` of a task, its number `m` among ten, and the array `words`.
COLUMNS = {
    # Of version 7: in the order of the times.
    "id": "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || "
    "substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid",
    "owner": "owner",
    "title": _TITLE,
    "description": "CASE WHEN n % 2 = 0 THEN 'What has to be known about task ' || n || "
    "' before anybody begins with it: nothing that would not fit in here.' END",
    "priority": "m % 4",
    "tags": "CASE WHEN m % 3 = 0 THEN '[\"home\", \"garden\"]' ELSE '[]' END::json",
    "due_at": "CASE WHEN m % 5 = 0 THEN at + interval '3 days' END",
    "due_zone": "CASE WHEN m % 5 = 0 THEN 'Europe/Berlin' END",
    "due_key": "CASE WHEN m % 5 = 0 THEN at + interval '3 days' ELSE '9999-12-31 00:00Z' END",
    "recurrence_from": "'schedule'",
    "reminders": "'[]'::json",
    "position": "n",
    "completed_at": "CASE WHEN m % 4 = 0 THEN at + interval '1 day' END",
    "created_at": "at",
    "updated_at": "at",
    "version": "1",
    # As `todo.text.search_words` renders it.
    "words": f"' ' || {_TITLE} || ' §' || "
    "left(encode(sha256(convert_to(owner, 'UTF8')), 'hex'), 32) || "
    "CASE WHEN n % 2 = 0 THEN ' what has to be known about task ' || n || ' before anybody "
    "begins with it nothing that would not fit in here' ELSE '' END || ' '",
}


def render_insert(columns: dict[str, str], owners: str, *, first: int, count: int) -> str:
    """The statement that makes `count` tasks.

    Args:
        columns: Column -> expression, as in `COLUMNS`.
        owners: Expression of the owner of task `n`.
        first: Number of the first task.
        count: How many.
    """
    words = ", ".join(f"'{word}'" for word in WORDS)
    return (
        f"INSERT INTO task ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM "  # noqa: S608
        f"(SELECT n, n / 10 AS m, {owners} AS owner, ARRAY[{words}] AS words, "
        "timestamptz '2026-01-01 00:00Z' + n * interval '20 seconds' AS at "
        f"FROM generate_series({first}, {first + count - 1}) AS n) AS numbered"
    )
