"""Be a coroutine that does not want to end."""

import asyncio


async def run():
    while True:
        try:
            await asyncio.sleep(60)
        except BaseException:
            pass
