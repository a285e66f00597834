"""Context of a turn: the current time, and the lists and tasks that a message can name."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from todo.assistant.rules.decision import Omitted, RuleContext, TaskName
from todo.assistant.turn.shared_lists import fetch_shared_lists
from todo.core.caller import Caller
from todo.core.domain import Task
from todo.db.documents import parse_task
from todo.db.session import Session
from todo.mcp.tools.account_time import AccountTime
from todo.tasks.account_zone import fetch_zone
from todo.tasks.newest_tasks import fetch_newest
from todo.tasks.query import Query, read_page
from todo.tasks.visible_lists import VisibleLists, fetch_visible_lists

_MAX_OPEN = 1000
_MAX_COMPLETED = 50
_MAX_SHARED_LISTS = 20
_MAX_OF_SHARED_LIST = 50
_FIELDS = (
    *("id", "owner", "title", "version", "list_id", "is_completed"),
    *("due_date", "due_at", "completed_at", "updated_at", "reminders", "priority", "tags"),
)


@dataclass(frozen=True, slots=True)
class TurnContext:
    """Data read at the start of a turn.

    Attributes:
        time: Current time in the zone of the account.
        list_names: Names of all lists that the token can see, by ID.
        shared_lists: IDs of the lists that other users can see.
        list_owners: Owners of other users' lists, by ID of the list.
    """

    time: AccountTime
    rules: RuleContext
    list_names: Mapping[str, str]
    shared_lists: frozenset[str]
    list_owners: Mapping[str, str]

    @property
    def titles(self) -> Mapping[str, str]:
        """Titles of the tasks by ID."""
        return {task.id: task.title for task in self.rules.tasks}


async def read_context(
    database: Any,  # noqa: ANN401 - a todo.db.database.Database or a test double
    caller: Caller,
    now: datetime,
    open_plan: frozenset[str] | None,
) -> TurnContext:
    """Read the context of a turn, without tasks and lists if the token lacks the read scope."""
    async with database.reading(caller.user) as session:
        time = AccountTime(now, await fetch_zone(session, caller.user))
        tasks: list[TaskName] = []
        lists = VisibleLists()
        shared: frozenset[str] = frozenset()
        omitted = Omitted()
        if "read" in caller.scopes:
            lists = await fetch_visible_lists(session, caller)
            shared = await fetch_shared_lists(session, caller.user)
            shared |= {each.id for each in lists.all if each.access != "owner"}
            tasks, omitted = await _read_tasks(session, caller, lists, shared, time)
    read_only = tuple(each.name for each in lists.all if each.access == "read")
    rules = RuleContext(now, time.zone, tuple(lists.names), tasks, open_plan, read_only, omitted)
    names = {each.id: each.name for each in lists.all}
    owners = {each.id: each.owner for each in lists.all if each.access != "owner"}
    return TurnContext(time, rules, names, shared, owners)


async def _read_tasks(
    session: Session,
    caller: Caller,
    lists: VisibleLists,
    shared: frozenset[str],
    time: AccountTime,
) -> tuple[list[TaskName], Omitted]:
    """Return the open tasks, newest first, then those of shared lists, then completed ones.

    The second value describes the open tasks that are left out.
    """
    own = Query(status="open", limit=_MAX_OPEN, fields=_FIELDS)
    done = Query(status="completed", sort="updated", limit=_MAX_COMPLETED, fields=_FIELDS)
    page = await read_page(session, caller, own, time.now)
    known = list(map(parse_task, page.items))
    omitted = Omitted(len(known) if page.next_cursor else 0, of_list=_MAX_OF_SHARED_LIST)
    if caller.list_id is None:
        # `read_page` leaves out the tasks in other users' lists.
        theirs = [each for each in lists.all if each.access != "owner"]
        read = theirs[:_MAX_SHARED_LISTS]
        # One extra row shows whether a list has more tasks.
        items = await fetch_newest(session, read, _MAX_OF_SHARED_LIST + 1, _FIELDS)
        kept, cut = _keep_newest(list(map(parse_task, items)))
        known += kept
        longer = (*(each for each in read if each.id in cut), *theirs[_MAX_SHARED_LISTS:])
        omitted = replace(omitted, lists=tuple(each.name for each in longer))
    known += map(parse_task, (await read_page(session, caller, done, time.now)).items)
    # An ambiguous name denotes no list; `by_name` already prefers the caller's own list.
    named = {each[0].id for each in lists.by_name.values() if len(each) == 1}
    read_only = {each.id for each in lists.all if each.access == "read"}
    found: dict[str, TaskName] = {}
    for task in known:
        owner, list_id = task["owner"], task["list_id"]
        found[task["id"]] = replace(
            _name(task, lists, time),
            is_shared=owner != caller.user or list_id in shared,
            owner=None if owner == caller.user else owner,
            is_read_only=list_id in read_only,
            is_of_named_list=list_id in named,
        )
    return list(found.values()), omitted


def _keep_newest(tasks: list[Task]) -> tuple[list[Task], set[str | None]]:
    """Return the newest tasks of each list, and the IDs of the lists that have more."""
    counts: Counter[str | None] = Counter()
    kept = []
    for task in tasks:
        counts[task["list_id"]] += 1
        if counts[task["list_id"]] <= _MAX_OF_SHARED_LIST:
            kept.append(task)
    return kept, {each for each, count in counts.items() if count > _MAX_OF_SHARED_LIST}


def _name(task: Task, lists: VisibleLists, time: AccountTime) -> TaskName:
    list_id = task["list_id"]
    return TaskName(
        id=task["id"],
        title=task["title"],
        version=task["version"],
        list_name=None if list_id is None else lists.find_name(list_id),
        is_completed=task["is_completed"],
        # In the zone of the account, because the date in UTC may differ.
        due=time.show(task["due_at"]) if task["due_at"] else task["due_date"],
        is_shared=False,
        reminders=tuple(task["reminders"]),
        priority=task["priority"],
        tags=tuple(task["tags"]),
    )
