from typing import TYPE_CHECKING

from todo.plans.operations import list_scopes

if TYPE_CHECKING:
    from todo.plans.operation import PlanOperation


def test_the_scopes_are_those_of_the_operations() -> None:
    operations: list[PlanOperation] = [
        {"op": "create", "task": {"title": "t"}},
        {"op": "complete", "id": "t"},
        {"op": "delete", "id": "t"},
        {"op": "delete_list", "id": "l"},
        {"op": "share_list", "id": "l", "user": "bob", "access": "read"},
        {"op": "unshare_list", "id": "l", "user": "bob"},
    ]
    scopes = [list_scopes([each]) for each in operations]
    assert scopes == [["write"], ["write"], ["delete"], ["delete"], ["admin"], ["admin"]]
    assert list_scopes(operations) == ["admin", "delete", "write"]
