"""HTTP routes of the journal: changes, events, history, runs and undo."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from todo.api.conditional import IF_MATCH, read_if_match
from todo.api.responses import StoredResponse, json_response
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep
from todo.auth.route import ApiRoute
from todo.journal.repository import Filter, View, find_head, find_view, read_changes, read_history
from todo.journal.runs import read_runs, render_runs
from todo.journal.schemas import (
    ChangePage,
    ChangesQuery,
    EntryPage,
    EventsQuery,
    HistoryQuery,
    RunPage,
    RunsQuery,
    Seq,
    UndoRequest,
    UndoResult,
)
from todo.journal.sse import MEDIA_TYPE, EventStream
from todo.journal.undo import Undo
from todo.journal.undo_scope import Run
from todo.writes.unit_of_work import UnitOfWork

router = APIRouter(prefix="/api/v1", tags=["journal"], route_class=ApiRoute)


@router.get("/changes", response_model=ChangePage)
async def list_changes(
    request: Request, caller: CallerDep, asked: Annotated[ChangesQuery, Query()]
) -> Response:
    """List the changes after the entry `since`, oldest first.

    Use this to keep a copy up to date. Continue with `next_since`.
    """
    async with get_state(request).database.reading(caller.user) as session:
        view = await find_view(session, caller, asked.list)
        page = await read_changes(session, view, asked.since, asked.limit)
    return json_response(request, page.render())


@router.get("/journal", response_model=EntryPage)
async def list_journal(
    request: Request, caller: CallerDep, asked: Annotated[HistoryQuery, Query()]
) -> Response:
    """List the entries of the journal, newest first."""
    token_id = None if asked.token_id is None else str(asked.token_id)
    wanted = Filter(asked.entity, asked.run_id, token_id, asked.actor)
    async with get_state(request).database.reading(caller.user) as session:
        view = await find_view(session, caller, asked.list)
        items, following = await read_history(session, view, wanted, asked.before, asked.limit)
    body = b'{"items":[%b],"next_before":%b}'
    following_text = b"null" if following is None else b"%d" % following
    return json_response(request, body % (b",".join(items), following_text))


@router.get("/runs", response_model=RunPage)
async def list_runs(
    request: Request, caller: CallerDep, asked: Annotated[RunsQuery, Query()]
) -> Response:
    """List the runs of agents and other programs: users, times, numbers of changes, undo state.

    A run comprises the changes of one user with one token under one `X-Run-Id`. Runs with the
    latest changes come first. `GET /journal` with a `run_id` returns the changes of a run, and
    `POST /undo` undoes them.
    """
    async with get_state(request).database.reading(caller.user) as session:
        view = await find_view(session, caller, asked.list)
        items, following = await read_runs(session, caller, view, asked.before, asked.limit)
    return json_response(request, render_runs(items, following))


_EVENTS = {
    "description": "Server-sent events: `id` is the sequence number of the change, `event` its "
    "operation, `data` the change as JSON.",
    "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
}
LastEventId = Annotated[
    Seq | None, Header(description="Sequence number of the last received change.")
]


@router.get("/events", response_class=EventStream, responses={200: _EVENTS}, status_code=200)
async def stream_events(
    request: Request,
    caller: CallerDep,
    asked: Annotated[EventsQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Stream changes as server-sent events.

    A client that reconnects sends `Last-Event-ID` and continues there, as browsers do.
    """
    state = get_state(request)
    since = asked.since if last_event_id is None else last_event_id

    async def find() -> tuple[View, int]:
        async with state.database.reading(caller.user) as session:
            view = await find_view(session, caller, asked.list)
            if since is None:
                return view, await find_head(session, view.owner)
            # This rejects a number after the end of the journal.
            await read_changes(session, view, since, 1)
            return view, since

    async def confirm() -> None:
        # Since then, the token may have expired, or the list may no longer be shared.
        await state.authenticator.identify(request.scope["headers"])
        if asked.list is not None or caller.list_id is not None:
            async with state.database.reading(caller.user) as session:
                await find_view(session, caller, asked.list)

    view, begin = await find()
    streams = state.streams
    return EventStream(streams, caller.user, streams.render(view, begin, caller.user, confirm))


@router.post("/undo", response_model=UndoResult, responses={404: {}}, openapi_extra=IF_MATCH)
async def undo(request: Request, caller: CallerDep, body: UndoRequest) -> Response:
    """Undo a change, a request, a run or all changes of a token, in one transaction.

    If later changes conflict, nothing changes: the response is 409 and `errors` names the entries.
    For a run or a token, `not_undone` lists the changes that cannot be undone. In `If-Match`, send
    the number of the journal's latest entry, such as `next_since` of the last page of changes.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        view = await find_view(work.session, caller, body.list)
        if expected is not None:
            account, _ = await work.lock(view.owner)
            account.require_version(expected)
        doing = Undo(work, view)
        token_id = None if body.token_id is None else str(body.token_id)
        if body.run_id is not None:
            done = await doing.undo_run(Run(body.run_id, body.actor or caller.user, token_id))
        elif token_id is not None:
            done = await doing.undo_token(token_id)
        else:
            done = await doing.undo_change(body.seq or 0, whole_request=body.whole_request)
        return StoredResponse(200, done)

    return await run_write(request, caller, handler, changes_existing=True)
