from todo.plans.operations import list_scopes


def test_the_scopes_are_those_of_the_operations() -> None:
    names = ("create", "complete", "delete", "delete_list", "share_list", "unshare_list")
    scopes = [list_scopes([{"op": name}]) for name in names]
    assert scopes == [["write"], ["write"], ["delete"], ["delete"], ["admin"], ["admin"]]
    assert list_scopes([{"op": name} for name in names]) == ["admin", "delete", "write"]
