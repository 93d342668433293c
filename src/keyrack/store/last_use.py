"""Writes when secrets and API keys were last used, for many at once."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select, update

from keyrack.store.core.unit import Unit
from keyrack.store.schema import api_keys, auth_secrets

BATCH = 500


class Owned(NamedTuple):
    """A secret's id with its tenant's."""

    tenant_id: str
    secret_id: str


async def move_forward(unit: Unit, moments: Mapping[Owned, datetime]) -> frozenset[Owned]:
    """Set the last use of secrets of any tenants; one that is later already stays.

    Rows that another transaction is changing are passed over, so that this waits for nobody while it holds locks.

    Args:
        unit: the installation's, writing.
        moments: at most `BATCH`.

    Returns:
        Those that were passed over, to be tried again; secrets that are gone are not among them.
    """
    s, connection = auth_secrets.c, unit.connection
    named = select(s.tenant_id, s.id).where(s.id.in_([owned.secret_id for owned in moments]))
    there = {Owned(*row) for row in (await connection.execute(named)).all()} & moments.keys()
    unlocked = named.with_for_update(key_share=True, skip_locked=True)
    free = {Owned(*row) for row in (await connection.execute(unlocked)).all()} & there
    if free:
        later = bindparam("moment", type_=s.last_used_at.type)
        statement = (
            update(auth_secrets)
            .where(s.tenant_id == bindparam("owner"), s.id == bindparam("secret"))
            .where(or_(s.last_used_at.is_(None), s.last_used_at < later))
            .values(last_used_at=later)
        )
        rows = [{"owner": o.tenant_id, "secret": o.secret_id, "moment": moments[o]} for o in sorted(free)]
        await connection.execute(statement, rows)
    return frozenset(there - free)


async def move_keys_forward(unit: Unit, moments: Mapping[str, datetime]) -> frozenset[str]:
    """Set the last use of API keys, by hash; as `move_forward`."""
    k, connection = api_keys.c, unit.connection
    named = select(k.key_hash).where(k.key_hash.in_(list(moments)))
    there = {row.key_hash for row in (await connection.execute(named)).all()}
    unlocked = named.with_for_update(key_share=True, skip_locked=True)
    free = {row.key_hash for row in (await connection.execute(unlocked)).all()} & there
    if free:
        later = bindparam("moment", type_=k.last_used_at.type)
        statement = (
            update(api_keys)
            .where(k.key_hash == bindparam("used"))
            .where(or_(k.last_used_at.is_(None), k.last_used_at < later))
            .values(last_used_at=later)
        )
        await connection.execute(statement, [{"used": used, "moment": moments[used]} for used in sorted(free)])
    return frozenset(there - free)
