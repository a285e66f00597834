import asyncio
from typing import Any

import pytest
from starlette.types import Message

from todo.auth.caller import Caller
from todo.errors import (
    BodyMemoryError,
    MalformedRequestError,
    ProblemError,
    TooLargeError,
    TooManyBodiesError,
    UnauthorizedError,
)
from todo.request_body import BODY_ARRIVED, CALLER, BodyBudget, RequestBody

MAX_BYTES = 100
LENGTH = (b"content-length", b"9")


class Sender:
    """A client that sends a body in parts; it is gone after the last one if that is None."""

    def __init__(self, *parts: bytes | None) -> None:
        self._parts = list(parts)
        self.read = 0

    async def receive(self) -> Message:
        self.read += 1
        part = self._parts.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}


async def know(_headers: object) -> Caller:
    return Caller("alice")


async def know_nobody(_headers: object) -> Caller:
    raise UnauthorizedError


def open_body(
    sender: Sender,
    budget: BodyBudget | None = None,
    **scope: Any,  # noqa: ANN401 - as ASGI has it
) -> RequestBody:
    whole = {"path": "/x", "headers": [LENGTH], **scope}
    return RequestBody(whole, sender.receive, budget or BodyBudget(), lambda _path: MAX_BYTES)


def read(body: RequestBody, identify: Any = know) -> bytes:  # noqa: ANN401 - a fake
    async def collect() -> bytes:
        receive = await body.read(identify)
        message = await receive()
        assert not message["more_body"]
        content: bytes = message["body"]
        return content

    return asyncio.run(collect())


def fail(body: RequestBody) -> type[ProblemError]:
    with pytest.raises(ProblemError) as caught:
        read(body)
    body.close()
    return caught.type


def test_a_body_is_handed_out_whole() -> None:
    assert read(open_body(Sender(b"one", b"", b"two"))) == b"onetwo"


def test_a_request_without_a_body_is_not_read() -> None:
    sender = Sender(b"")
    body = open_body(sender, headers=[])
    asyncio.run(body.read(know_nobody))
    assert sender.read == 0


def test_a_body_of_an_unknown_caller_is_not_waited_for() -> None:
    sender = Sender(b"part", b"rest")
    assert read(open_body(sender), know_nobody) == b""
    assert sender.read == 0


def test_a_body_that_has_arrived_is_read_for_anybody() -> None:
    assert read(open_body(Sender(b"all"), None, **{BODY_ARRIVED: True}), know_nobody) == b"all"


def test_the_caller_is_identified_once() -> None:
    scope: dict[str, Any] = {"path": "/x", "headers": [LENGTH]}
    read(RequestBody(scope, Sender(b"all").receive, BodyBudget(), lambda _path: MAX_BYTES))
    assert scope[CALLER] == Caller("alice")


def test_too_large_a_body_is_read_to_its_end_and_kept_by_nobody() -> None:
    budget = BodyBudget()
    sender = Sender(b"x" * MAX_BYTES, b"x", b"x" * MAX_BYTES)
    body = open_body(sender, budget)
    with pytest.raises(TooLargeError):
        read(body)
    assert sender.read == 3
    assert budget.used_bytes == 0


def test_a_client_that_waits_to_send_too_large_a_body_is_not_asked_for_it() -> None:
    sender = Sender(b"x" * (MAX_BYTES + 1))
    expect = (b"expect", b"100-continue")
    length = (b"content-length", b"%d" % (MAX_BYTES + 1))
    with pytest.raises(TooLargeError):
        read(open_body(sender, headers=[length, expect]))
    assert sender.read == 0


def test_a_client_that_leaves_has_sent_no_request() -> None:
    assert fail(open_body(Sender(b"part", None))) is MalformedRequestError


def test_bodies_are_counted_until_their_requests_are_answered() -> None:
    budget = BodyBudget(total_bytes=10, caller_bytes=10)
    first = open_body(Sender(b"123456"), budget)
    read(first)
    assert budget.used_bytes == 6
    assert fail(open_body(Sender(b"12345"), budget)) is TooManyBodiesError
    first.close()
    first.close()
    assert budget.used_bytes == 0
    assert read(open_body(Sender(b"12345"), budget)) == b"12345"


def test_one_caller_cannot_take_the_whole_budget() -> None:
    async def know_bob(_headers: object) -> Caller:
        return Caller("bob")

    budget = BodyBudget(total_bytes=12, caller_bytes=6)
    read(open_body(Sender(b"12345"), budget))
    assert fail(open_body(Sender(b"12"), budget)) is TooManyBodiesError
    assert read(open_body(Sender(b"12345"), budget), know_bob) == b"12345"


def test_all_callers_together_have_a_budget() -> None:
    budget = BodyBudget(total_bytes=6, caller_bytes=6)
    read(open_body(Sender(b"12345"), budget, **{BODY_ARRIVED: True}))
    assert fail(open_body(Sender(b"12"), budget)) is BodyMemoryError


def test_what_a_failed_request_sent_is_forgotten() -> None:
    budget = BodyBudget(total_bytes=6, caller_bytes=6)
    assert fail(open_body(Sender(b"12345", b"67"), budget)) is TooManyBodiesError
    assert budget.used_bytes == 0
