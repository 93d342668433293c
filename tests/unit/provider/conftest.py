from collections.abc import AsyncIterator

import pytest

from support.provider_servers import LoopbackServers


@pytest.fixture
async def servers() -> AsyncIterator[LoopbackServers]:
    running = LoopbackServers()
    yield running
    await running.stop()
