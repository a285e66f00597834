import pytest

from todo.mcp.protocol import PARSE_ERROR, RpcError, parse_message


@pytest.mark.parametrize(
    ("body", "known"),
    [
        (rb'{"id": 5, "params": {"title": "\ud83d"}}', 5),
        (rb'{"id": "a", "params": {"limit": 1e999}}', "a"),
        (rb'{"id": "\ud83d"}', None),
        (rb'{"id": true, "x": "\ud83d"}', None),
        (rb'["\ud83d"]', None),
    ],
)
def test_a_value_that_no_text_has_is_named_with_the_id(body: bytes, known: object) -> None:
    with pytest.raises(RpcError, match="unpaired surrogate") as caught:
        parse_message(body)
    assert (caught.value.code, caught.value.request_id) == (PARSE_ERROR, known)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_called_that(body: bytes) -> None:
    with pytest.raises(RpcError, match="must be JSON in UTF-8"):
        parse_message(body)
