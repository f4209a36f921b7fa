"""A watch as an iterator: closing it ends every wait."""

import asyncio

from libelli.client.watching import AsyncWatch


def test_a_watch_that_is_closed_before_it_has_begun_does_not_wait_for_ever() -> None:
    async def main() -> None:
        watch = AsyncWatch(start=lambda _: lambda _: None)
        opening = asyncio.create_task(watch.__aenter__())
        await asyncio.sleep(0)
        watch.close()
        async with asyncio.timeout(20):
            assert await opening is watch
            assert await watch.batch() == []

    asyncio.run(main())
