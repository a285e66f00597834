import asyncio

import pytest

from todo.db.pool_admission import AccountBusyError, AccountGate, PoolExhaustedError, PoolGate


def test_those_who_wait_are_served_in_the_order_in_which_they_came() -> None:
    async def scenario() -> list[int]:
        turns = PoolGate(1, max_waiting=10, timeout_s=60)
        served: list[int] = []

        async def use(number: int) -> None:
            await turns.take()
            served.append(number)
            await asyncio.sleep(0)
            turns.leave()
            # At once again: it must not overtake those who wait.
            await turns.take()
            served.append(number + 10)
            turns.leave()

        await asyncio.gather(*(use(number) for number in range(3)))
        return served

    assert asyncio.run(scenario()) == [0, 1, 2, 10, 11, 12]


def test_waiting_ends_with_the_time_out() -> None:
    async def scenario() -> int:
        turns = PoolGate(1, max_waiting=10, timeout_s=0.01)
        await turns.take()
        with pytest.raises(PoolExhaustedError):
            await turns.take()
        turns.leave()
        await turns.take()
        return turns.waiting

    assert asyncio.run(scenario()) == 0


def test_where_too_many_wait_nobody_else_does() -> None:
    async def scenario() -> int:
        turns = PoolGate(1, max_waiting=1, timeout_s=60)
        await turns.take()
        waiter = asyncio.create_task(turns.take())
        await asyncio.sleep(0)
        with pytest.raises(PoolExhaustedError):
            await turns.take()
        turns.leave()
        await waiter
        return turns.waiting

    assert asyncio.run(scenario()) == 0


def test_whoever_gives_up_leaves_the_place_to_the_next() -> None:
    async def scenario() -> None:
        turns = PoolGate(1, max_waiting=10, timeout_s=1)
        await turns.take()
        first, second = (asyncio.create_task(turns.take()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        turns.leave()
        await second

    asyncio.run(scenario())


def gate(places: int = 2, **options: float) -> AccountGate:
    return AccountGate(places, max_waiting=int(options.get("max_waiting", 10)), timeout_s=0.01)


def test_one_account_has_its_share_and_others_theirs() -> None:
    async def scenario() -> None:
        accounts = gate()
        mine = [await accounts.admit(["a"]) for _ in range(2)]
        with pytest.raises(PoolExhaustedError):
            await accounts.admit(["a"])
        await accounts.admit(["b"])
        mine[0].leave()
        await accounts.admit(["a"])

    asyncio.run(scenario())


def test_a_session_comes_upon_an_account_that_has_its_share_already() -> None:
    async def scenario() -> None:
        accounts = gate(1)
        first, second = [await accounts.admit([name]) for name in "ab"]
        await first.add("a")
        with pytest.raises(AccountBusyError) as caught:
            await second.add("a")
        assert caught.value.account == "a"
        first.leave()
        await second.add("a")
        assert second.accounts == ["b", "a"]

    asyncio.run(scenario())


def test_a_session_that_does_not_get_all_its_accounts_has_none() -> None:
    async def scenario() -> None:
        accounts = gate(1)
        await accounts.admit(["b"])
        with pytest.raises(PoolExhaustedError):
            await accounts.admit(["a", "b"])
        await accounts.admit(["a"])

    asyncio.run(scenario())


def test_accounts_that_nobody_uses_are_forgotten() -> None:
    async def scenario() -> AccountGate:
        accounts = gate(1)
        admission = await accounts.admit(["a", "a"])
        with pytest.raises(PoolExhaustedError):
            await accounts.admit(["a"])
        admission.leave()
        return accounts

    assert vars(asyncio.run(scenario()))["_gates"] == {}
