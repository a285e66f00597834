import pytest

from todo.api.cors import Cors

CORS = Cors(["https://todo.example", "http://localhost:3000"])


def scope(method: str, **headers: str) -> dict[str, object]:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"method": method, "headers": fields}


def test_an_allowed_origin_may_read_the_answer() -> None:
    fields, complete = CORS.answer(scope("GET", origin="https://todo.example"))

    assert dict(fields)[b"access-control-allow-origin"] == b"https://todo.example"
    assert b"etag" in dict(fields)[b"access-control-expose-headers"]
    assert dict(fields)[b"vary"] == b"Origin"
    assert not complete


def test_a_preflight_is_answered_whole() -> None:
    asked = scope("OPTIONS", origin="http://localhost:3000", access_control_request_method="PATCH")
    fields, complete = CORS.answer(asked)

    assert complete
    assert b"PATCH" in dict(fields)[b"access-control-allow-methods"]
    assert b"authorization" in dict(fields)[b"access-control-allow-headers"]


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "https://todo.example.evil",
        "https://eviltodo.example",
        "http://todo.example",
        "https://todo.example:444",
        "https://TODO.example",
        "https://todo.example, https://evil.example",
    ],
)
def test_another_origin_gets_nothing(origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        asked = scope(method, origin=origin, access_control_request_method="GET")
        assert CORS.answer(asked) == ([(b"vary", b"Origin")], False)


def test_an_ordinary_options_request_is_no_preflight() -> None:
    assert not CORS.answer(scope("OPTIONS", origin="https://todo.example"))[1]
