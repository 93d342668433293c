"""Refreshes counted by time, provider and result, by several processes together (decision 34)."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from keyrack.errors import DatabaseUnavailable, ProviderError, ProviderUnavailable
from keyrack.model.operations import RefreshResult
from keyrack.service.clients.auth_client_profile import refresh_origin
from keyrack.service.operator.refresh_history import Period
from keyrack.service.secrets.refresh.refresh_counter import OTHER, RefreshCounter
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.core.store import Store
from keyrack.store.refresh_counts import HOURS, MINUTES, RefreshCounts
from keyrack.wiring.storage import open_store
from support.app import World
from support.grants import connect

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
RENEWED, REFUSED = RefreshResult.renewed, RefreshResult.refused


async def counted(store: Store, span: int = MINUTES) -> Counter[tuple[str, RefreshResult]]:
    async with store.installation() as unit:
        rows = await RefreshCounts(unit).by_origin(span, LONG_AGO)
    return Counter({(origin, result): number for origin, result, number in rows})


async def test_every_end_of_a_refresh_is_counted(keyrack_on_each: World, simulator: RunningSimulator) -> None:
    room = keyrack_on_each.services.refreshing
    connected = await connect(keyrack_on_each, simulator)
    origin = refresh_origin(connected.client)
    await room.refresher.refresh(connected.secret)
    simulator.state.queue(Queued("token", {"error": "temporarily_unavailable", "error_status": 503}))
    with pytest.raises(ProviderUnavailable):
        await room.refresher.refresh_again(await connect_again(keyrack_on_each, simulator), asyncio.get_running_loop().time())
    dead = await connect(keyrack_on_each, simulator)
    simulator.state.queue(Queued("token", {"error": "invalid_grant"}))
    with pytest.raises(ProviderError):
        await room.refresher.refresh(dead.secret)
    assert await counted(keyrack_on_each.store) == {}, "refreshing wrote nothing more"
    await room.counter.flush()
    right = {(origin, RENEWED): 1, (origin, RefreshResult.unavailable): 1, (origin, RefreshResult.reauthorization_required): 1}
    assert await counted(keyrack_on_each.store) == right
    assert await counted(keyrack_on_each.store, HOURS) == right
    await room.counter.flush()
    assert await counted(keyrack_on_each.store) == right, "nothing is written twice"
