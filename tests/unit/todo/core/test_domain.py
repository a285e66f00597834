"""The types of tasks, lists and shares have the fields of the API, the columns and the exports."""

from collections.abc import Collection

import pytest
from pydantic import BaseModel

from todo.core.domain import (
    ListChanges,
    NewList,
    NewTask,
    Share,
    Task,
    TaskChanges,
    TaskDue,
    TaskList,
    TaskRule,
    VisibleTaskList,
    get_name,
)
from todo.db import documents
from todo.db.tables import list_share, task, task_list
from todo.lists.schemas import ListCreate, ListRead, ListUpdate, ShareRead
from todo.tasks.schemas import TaskCreate, TaskRead, TaskUpdate
from todo.transfer.records import ListRecord, ShareRecord, TaskRecord


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        (Task.__annotations__, TaskRead),
        (Task.__annotations__, TaskRecord),
        (TaskList.__annotations__, ListRecord),
        (VisibleTaskList.__annotations__, ListRead),
        (Share.__annotations__, ShareRead),
        (Share.__annotations__, ShareRecord),
        (TaskChanges.__annotations__, TaskUpdate),
        # Only other parts of the service name the id of a new task.
        (NewTask.__annotations__.keys() - {"id"}, TaskCreate),
        (ListChanges.__annotations__, ListUpdate),
        (NewList.__annotations__, ListCreate),
    ],
)
def test_a_type_has_the_fields_of_its_schema(
    fields: Collection[str], model: type[BaseModel]
) -> None:
    assert set(fields) == model.model_fields.keys()


def test_a_document_has_the_keys_of_the_api_in_their_order() -> None:
    assert tuple(TaskRead.model_fields) == documents.TASK_FIELDS
    assert tuple(ListRead.model_fields) == documents.VISIBLE_LIST_FIELDS
    assert tuple(ShareRead.model_fields) == documents.SHARE_FIELDS


def test_a_document_shows_every_column() -> None:
    # How a task is sorted and found is not shown; that it is completed is derived.
    shown = set(documents.TASK_FIELDS) - {"is_completed"}
    assert set(task.columns.keys()) - {"due_key", "words"} == shown
    assert set(task_list.columns.keys()) == set(documents.LIST_FIELDS)
    assert set(list_share.columns.keys()) == set(documents.SHARE_FIELDS)


def test_words_of_a_closed_set_are_those_of_the_schemas() -> None:
    for name in ("priority", "recurrence_from"):
        assert Task.__annotations__[name] == TaskRead.model_fields[name].annotation
    assert VisibleTaskList.__annotations__["access"] == ListRead.model_fields["access"].annotation
    assert Share.__annotations__["access"] == ShareRead.model_fields["access"].annotation


def test_due_and_rule_are_parts_of_a_task() -> None:
    assert TaskDue.__annotations__.items() <= TaskRule.__annotations__.items()
    assert TaskRule.__annotations__.items() <= Task.__annotations__.items()


def test_a_snapshot_of_each_kind_has_a_name() -> None:
    name = {
        "task": get_name(documents.parse_task('{"id":"1","title":"Pots"}')),
        "list": get_name(documents.parse_list('{"id":"1","name":"Garden"}')),
        "share": get_name(documents.parse_share('{"list_id":"1","user_id":"bob"}')),
    }
    assert name == {"task": "Pots", "list": "Garden", "share": "bob"}


@pytest.mark.parametrize("kind", ["account", "token"])
def test_other_kinds_of_the_journal_have_no_snapshot(kind: str) -> None:
    assert documents.parse_snapshot(kind, '{"id":"1"}') is None
    assert documents.parse_snapshot("task", None) is None
