"""A task beside everything else begins once and has ended when `stop` returns."""

import asyncio

from keyrack.background import Background


class Beats:
    """Counts what is under way; ends only when it is cancelled."""

    def __init__(self) -> None:
        self.begun = self.running = 0

    async def run(self) -> None:
        self.begun += 1
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # ending takes a moment
            self.running -= 1


async def test_it_begins_once_however_often_it_is_started() -> None:
    beats = Beats()
    task = Background("beats", beats.run)
    task.start()
    task.start()
    await asyncio.sleep(0)
    assert beats.begun == 1
    await task.stop()


async def test_it_has_ended_when_stop_returns_and_can_begin_again() -> None:
    beats = Beats()
    task = Background("beats", beats.run)
    for round_ in (1, 2):
        task.start()
        await asyncio.sleep(0)
        assert (beats.begun, beats.running) == (round_, 1)
        await task.stop()
        assert beats.running == 0


async def test_what_has_not_begun_can_be_stopped() -> None:
    beats = Beats()
    await Background("beats", beats.run).stop()
    assert beats.begun == 0
