"""Which grants a restore puts in doubt: of the unit's own tenant alone, and none that was in doubt before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from keyrack.errors import DatabaseUnavailable
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.service.operator import restored
from keyrack.service.operator.restored import Restored
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.restored_grants import RestoredGrants, newest_change
from support.app import World
from support.grants import add_auth_client, add_secret, change, stored

NOWHERE = "http://127.0.0.1:8/token"
TOKENS = {"access_token": "at", "refresh_token": "rt"}


async def grants(keyrack: World, name: str) -> tuple[AuthSecret, AuthSecret]:
    """Return a grant that is due, and one that is not."""
    tenant = keyrack.tenants[name]
    client = await add_auth_client(keyrack.store, tenant.id, NOWHERE)
    due = await add_secret(keyrack.store, tenant, client, TOKENS, age=4000)
    return due, await add_secret(keyrack.store, tenant, client, TOKENS)


async def test_grants_of_other_tenants_are_neither_found_nor_put_in_doubt(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    (mine, _), (theirs, _) = await grants(keyrack, "Acme"), await grants(keyrack, "Globex")
    lost = keyrack.store.clock()
    async with keyrack.store.unit(mine.tenant_id, writes=True) as unit:
        own = RestoredGrants(unit)
        assert await own.refreshable() == 2
        assert [found.id for found in await own.in_question(lost, "", 10)] == [mine.id]
        assert [found.credentials for found in await own.in_question(lost, "", 10)] == [{}]
        assert await own.in_question(lost, mine.id, 10) == []
        assert await own.doubt([mine.id, theirs.id], lost) == 1
        assert await own.doubt([mine.id], lost + timedelta(hours=1)) == 0, "what is known of it stays"
    assert (await stored(keyrack.store, theirs)).ambiguous_since is None
    doubted = await stored(keyrack.store, mine)
    assert doubted.ambiguous_since is not None
    assert lost - doubted.ambiguous_since < timedelta(milliseconds=1)


async def test_what_ended_since_is_found_again_and_what_came_back_is_not(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    due, resting = await grants(keyrack, "Acme")
    lost = keyrack.store.clock()
    over = {"state": SecretState.error, "error_code": ErrorCode.refresh_interrupted, "error_at": lost}
    await change(keyrack.store, due, due_at=None, ambiguous_since=lost, **over)
    await change(keyrack.store, resting, due_at=lost + timedelta(hours=1))
    async with keyrack.store.unit(due.tenant_id) as unit:
        assert [found.id for found in await RestoredGrants(unit).in_question(lost, "", 10)] == [due.id]


async def test_the_newest_change_of_any_tenant_is_known(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    due, _ = await grants(keyrack, "Globex")
    later = keyrack.store.clock() + timedelta(days=1)
    async with keyrack.store.unit(due.tenant_id, writes=True) as unit:
        await AuthSecrets(unit).replace(replace(due, refreshed_at=later), refresh_token_replaced=False)
    async with keyrack.store.installation() as unit:
        newest = await newest_change(unit)
    assert newest is not None
    assert abs(newest - later) < timedelta(milliseconds=1)


async def test_a_run_that_breaks_off_has_said_what_it_wrote(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    grant, _ = await grants(keyrack, "Acme")
    await grants(keyrack, "Acme")
    monkeypatch.setattr(restored, "_AT_ONCE", 1)
    original, pages = RestoredGrants.in_question, list[str]()

    async def lost(self: RestoredGrants, until: Any, after: str, limit: int) -> Any:
        if after and not pages:
            pages.append(after)
            raise DatabaseUnavailable
        return await original(self, until, after, limit)

    monkeypatch.setattr(RestoredGrants, "in_question", lost)
    now = keyrack.store.clock()
    with pytest.raises(DatabaseUnavailable):
        await Restored(keyrack.store).report(now, now, limit=9, changes=True)

    async def said() -> int:
        async with keyrack.store.unit(grant.tenant_id) as unit:
            return len(await AuditLog(unit).newest({"action": "secret.doubt"}, None, limit=9))

    assert await said() == 1
    assert (await Restored(keyrack.store).report(now, now, limit=9, changes=True)).doubted == 1
    assert await said() == 2
    assert (await Restored(keyrack.store).report(now, now, limit=9, changes=True)).doubted == 0
    assert await said() == 2, "nothing was changed"
