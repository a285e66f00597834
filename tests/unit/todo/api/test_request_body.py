import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive

from todo.api.request_body import BODY_ARRIVED, CALLER, BodyBudget, RequestBody
from todo.core.caller import Caller
from todo.core.errors import (
    BodyMemoryError,
    MalformedRequestError,
    ProblemError,
    TooLargeError,
    TooManyBodiesError,
    UnauthorizedError,
)

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


class StalledSender:
    """A client that sends the beginning of a body and no more."""

    def __init__(self, part: bytes) -> None:
        self._part: bytes | None = part

    async def receive(self) -> Message:
        if self._part is None:
            await asyncio.Event().wait()
        part, self._part = self._part, None
        return {"type": "http.request", "body": part, "more_body": True}


async def stall(budget: BodyBudget, user: str, part: bytes) -> asyncio.Task[Receive]:
    """Start a request whose body stalls after a part."""

    async def identify(_headers: object) -> Caller:
        return Caller(user)

    async def serve() -> Receive:
        scope = {"path": "/x", "headers": [LENGTH]}
        body = RequestBody(scope, StalledSender(part).receive, budget, lambda _path: MAX_BYTES)
        try:
            return await body.read(identify)
        finally:
            body.close()

    task = asyncio.create_task(serve())
    for _ in range(3):
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("arrived", [True, False])
def test_stalled_bodies_of_others_give_way_to_a_small_one(arrived: bool) -> None:  # noqa: FBT001 - a parameter
    async def attack() -> None:
        budget = BodyBudget(total_bytes=32, caller_bytes=16)
        oldest, newest, other = [
            await stall(budget, user, b"x" * size)
            for user, size in (("mallory", 8), ("mallory", 8), ("eve", 16 - 1))
        ]
        body = open_body(Sender(b"1234"), budget, **{BODY_ARRIVED: arrived})
        message = await (await body.read(know))()
        assert message["body"] == b"1234"
        with pytest.raises(BodyMemoryError):
            await oldest
        assert not newest.done()
        assert not other.done()
        body.close()
        for task in (newest, other):
            task.cancel()
        await asyncio.gather(newest, other, return_exceptions=True)
        assert budget.used_bytes == 0

    asyncio.run(attack())


def test_a_body_gives_way_to_no_user_who_would_use_as_much() -> None:
    async def compete() -> None:
        budget = BodyBudget(total_bytes=16, caller_bytes=16)
        first = await stall(budget, "bob", b"x" * 8)
        second = await stall(budget, "eve", b"x" * 8)
        third = await stall(budget, "mallory", b"x" * 8)
        with pytest.raises(BodyMemoryError):
            await third
        assert not first.done()
        assert not second.done()
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)

    asyncio.run(compete())


PARTS = st.lists(st.binary(max_size=40) | st.none() | st.just("stall"), min_size=1, max_size=5)


@given(clients=st.lists(st.tuples(st.sampled_from(["alice", "bob"]), PARTS), max_size=6))
def test_nothing_of_the_budget_is_lost_however_clients_leave(
    clients: list[tuple[str, list[bytes | str | None]]],
) -> None:
    async def serve(budget: BodyBudget, user: str, parts: list[bytes | str | None]) -> None:
        async def identify(_headers: object) -> Caller:
            return Caller(user)

        pending = list(parts)

        async def receive() -> Message:
            await asyncio.sleep(0)
            part = pending.pop(0) if pending else None
            if part == "stall":
                await asyncio.Event().wait()
            if part is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": part, "more_body": bool(pending)}

        scope = {"path": "/x", "headers": [LENGTH]}
        body = RequestBody(scope, receive, budget, lambda _path: MAX_BYTES)
        try:
            await body.read(identify)
            await asyncio.sleep(0)
        finally:
            body.close()

    async def run() -> None:
        budget = BodyBudget(total_bytes=100, caller_bytes=80)
        tasks = [asyncio.create_task(serve(budget, *client)) for client in clients]
        for _ in range(20):
            await asyncio.sleep(0)
            assert 0 <= budget.used_bytes <= 100
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(
            each is None or isinstance(each, ProblemError | asyncio.CancelledError)
            for each in ended
        )
        assert budget.used_bytes == 0
        assert vars(budget)["_incomplete"] == {}

    asyncio.run(run())


def test_what_a_failed_request_sent_is_forgotten() -> None:
    budget = BodyBudget(total_bytes=6, caller_bytes=6)
    assert fail(open_body(Sender(b"12345", b"67"), budget)) is TooManyBodiesError
    assert budget.used_bytes == 0
