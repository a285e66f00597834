import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from todo.server.send_budget import SendBudget


class Slow(asyncio.WriteTransport):
    """A transport with what its client has not read yet."""

    def __init__(self, unsent: int) -> None:
        super().__init__()
        self.unsent = unsent
        self.aborted = asyncio.Event()

    @property
    def is_aborted(self) -> bool:
        return self.aborted.is_set()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.aborted.set()
        self.unsent = 0


def test_the_client_that_has_taken_least_loses_its_connection_first() -> None:
    async def run() -> list[bool]:
        budget = SendBudget(100, young_s=0)
        slow = [Slow(40), Slow(40), Slow(0)]
        with contextlib.ExitStack() as stack:
            for transport in slow:
                stack.enter_context(budget.waiting(transport))
            await asyncio.sleep(0)
            slow[0].unsent = 30
            more = Slow(40)
            stack.enter_context(budget.waiting(more))
            await asyncio.sleep(0)
            return [transport.is_aborted for transport in (*slow, more)]

    assert asyncio.run(run()) == [False, True, False, False]


@contextlib.asynccontextmanager
async def waiting(budget: SendBudget, *transports: Slow) -> AsyncIterator[None]:
    with contextlib.ExitStack() as stack:
        for transport in transports:
            stack.enter_context(budget.waiting(transport))
        await asyncio.sleep(0)
        yield


def test_a_new_answer_stays_where_slow_readers_fill_the_budget() -> None:
    async def run() -> None:
        budget = SendBudget(100, young_s=0.5)
        slow = [Slow(50), Slow(50)]
        async with waiting(budget, *slow):
            await asyncio.sleep(0.6)
            for transport in slow:
                transport.unsent -= 1
            new = Slow(40)
            async with waiting(budget, new):
                assert [each.is_aborted for each in (*slow, new)] == [True, False, False]

    asyncio.run(run())


def test_new_answers_are_judged_by_what_was_taken_after_their_first_seconds() -> None:
    async def run() -> None:
        budget = SendBudget(100, young_s=0.5)
        honest, silent = Slow(90), Slow(60)
        async with waiting(budget, honest, silent):
            assert not honest.is_aborted
            assert not silent.is_aborted
            honest.unsent = 80
            async with asyncio.timeout(120):
                await silent.aborted.wait()
            assert not honest.is_aborted

    asyncio.run(run())


def test_new_answers_have_twice_the_budget_and_a_fast_reader_stays() -> None:
    async def run() -> None:
        budget = SendBudget(10_000_000, young_s=0.5)
        fast = Slow(9_000_000)
        async with waiting(budget, fast):
            await asyncio.sleep(0.6)
            fast.unsent = 1_000_000
            new = [Slow(8_000_000) for _ in range(3)]
            async with waiting(budget, *new):
                assert [each.is_aborted for each in (fast, *new)] == [False, True, False, False]

    asyncio.run(run())


def test_what_is_written_after_the_wait_began_counts() -> None:
    async def run() -> bool:
        transport = Slow(0)
        with SendBudget(100, young_s=0).waiting(transport):
            transport.unsent = 101
            await asyncio.sleep(0)
        return transport.is_aborted

    assert asyncio.run(run())


def test_a_client_that_takes_nothing_is_given_up() -> None:
    async def run(taken: Sequence[int]) -> bool:
        transport = Slow(100)
        with SendBudget(1000, stalled_s=0.001).waiting(transport):
            async with asyncio.timeout(120):
                for each in taken:
                    transport.unsent = each
                    await asyncio.sleep(0.01)
                await transport.aborted.wait()
        return transport.is_aborted

    assert asyncio.run(run([90, 80]))


def test_what_no_longer_waits_does_not_count() -> None:
    async def run() -> bool:
        budget = SendBudget(100)
        first, second = Slow(80), Slow(80)
        with budget.waiting(first):
            await asyncio.sleep(0)
        with budget.waiting(second):
            await asyncio.sleep(0)
        return first.is_aborted or second.is_aborted

    assert not asyncio.run(run())
