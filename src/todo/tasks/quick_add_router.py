"""HTTP route of quick add."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response, status

from todo.api.idempotency import find_key
from todo.api.responses import JSON, StoredResponse
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep
from todo.auth.route import ApiRoute
from todo.core.domain import NewTask
from todo.core.errors import ProblemError
from todo.tasks.quick_add import (
    QuickAddContext,
    QuickAddFields,
    TaskPlace,
    complete_fields,
    describe_question,
    describe_recurrence,
    fetch_context,
    parse_fields,
)
from todo.tasks.quick_add_schemas import QuickAddPreview, QuickAddRequest, QuickAddResult
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.router import created
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

router = APIRouter(prefix="/api/v1/quick-add", tags=["tasks"], route_class=ApiRoute)

Preview = Annotated[
    bool, Query(description="Whether to only return the interpretation, without creating a task.")
]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=QuickAddResult,
    responses={200: {"model": QuickAddPreview, "description": "The preview."}},
)
async def quick_add(
    request: Request, caller: CallerDep, body: QuickAddRequest, *, preview: Preview = False
) -> Response:
    """Create a task from one line of English: title, due date, priority, tags, list, recurrence.

    Dates are in the account's time zone. If a part of the text has more than one meaning, no task
    is created: the response is 422 and lists choices.
    """
    now = datetime.now(UTC)
    async with get_state(request).database.reading(caller.user) as session:
        context = await fetch_context(session, caller, body.text)
    place: TaskPlace = {}
    if body.list_id is not None:
        place["list_id"] = str(body.list_id)
    if body.parent_id is not None:
        place["parent_id"] = str(body.parent_id)
    if preview:
        # A preview does not use the Idempotency-Key, but rejects an invalid one as a creation does.
        find_key(request)
        return _render_preview(parse_fields(body.text, context, now, place), context)
    rules = RuleEvaluation()
    meaning = await _find_meaning(body.text, context, now, place, rules)

    async def create(work: UnitOfWork) -> StoredResponse:
        # Raised only now, because an earlier request with this key may have succeeded, when a time
        # had not yet passed or a list name was still unique.
        if isinstance(meaning, ProblemError):
            raise meaning
        fields, spans = meaning
        stored = await TaskService(work, rules).create(fields)
        return replace(created(stored), body=b'{"task":%b,"spans":%b}' % (stored.body, spans))

    return await run_write(request, caller, create, changes_existing=False)


async def _find_meaning(
    text: str,
    context: QuickAddContext,
    now: datetime,
    place: TaskPlace,
    rules: RuleEvaluation,
) -> tuple[NewTask, bytes] | ProblemError:
    """Return the fields of the new task and the spans as JSON, or the error in the text."""
    try:
        found = parse_fields(text, context, now, place)
        fields = complete_fields(found)
        await rules.prepare(fields)
    except ProblemError as error:
        return error
    return fields, orjson.dumps([asdict(each) for each in found.parsed.spans])


def _render_preview(found: QuickAddFields, context: QuickAddContext) -> Response:
    shown = {
        "task": {**found.task, **describe_recurrence(found.parsed)},
        "zone": context.zone,
        "spans": [asdict(each) for each in found.parsed.spans],
        "questions": [describe_question(each) for each in found.parsed.questions],
    }
    content = QuickAddPreview.model_validate(shown).model_dump_json().encode()
    return Response(content, media_type=JSON)
