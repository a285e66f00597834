import asyncio

from todo.server.read_pacing import ReadPacer


def test_one_continues_in_each_turn_of_the_loop_in_the_order_they_came() -> None:
    async def run() -> list[tuple[int, str]]:
        pace, seen = ReadPacer(), []
        turn = 0

        async def use(name: str) -> None:
            for _ in range(2):
                await pace.wait()
                seen.append((turn, name))

        tasks = [asyncio.create_task(use(name)) for name in "abc"]
        while not all(task.done() for task in tasks):
            turn += 1
            await asyncio.sleep(0)
        return seen

    seen = asyncio.run(run())

    assert [name for _turn, name in seen] == ["a", "b", "c", "a", "b", "c"]
    turns = [turn for turn, _name in seen]
    assert len(set(turns)) == len(turns)


def test_one_who_gives_up_keeps_nobody_waiting() -> None:
    async def run() -> None:
        pace = ReadPacer()
        first, second = (asyncio.create_task(pace.wait()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        await pace.wait()

    asyncio.run(asyncio.wait_for(run(), 120))
