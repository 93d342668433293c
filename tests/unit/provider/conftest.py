from collections.abc import AsyncIterator

import pytest

from support.raw_provider import LoopbackServers


@pytest.fixture
async def servers() -> AsyncIterator[LoopbackServers]:
    running = LoopbackServers()
    yield running
    await running.stop()
