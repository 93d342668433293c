"""Writes when secrets and API keys were last used, for many at once."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select, update

from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import api_keys, auth_secrets

BATCH = 500


class Owned(NamedTuple):
    """A secret's id with its tenant's."""

    tenant_id: str
    secret_id: str


_s, _k = auth_secrets.c, api_keys.c
_NAMED = select(_s.tenant_id, _s.id).where(_s.id.in_(bindparam("ids", expanding=True)))
_SECRETS = Query(_NAMED)
_UNLOCKED_SECRETS = Query(_NAMED.with_for_update(key_share=True, skip_locked=True))
_SECRET_USED = Change(
    update(auth_secrets)
    .where(_s.tenant_id == bindparam("owner"), _s.id == bindparam("secret"))
    .where(or_(_s.last_used_at.is_(None), _s.last_used_at < bindparam("moment")))
    .values(last_used_at=bindparam("moment"))
)
_NAMED_KEYS = select(_k.key_hash).where(_k.key_hash.in_(bindparam("hashes", expanding=True)))
_KEYS = Query(_NAMED_KEYS)
_UNLOCKED_KEYS = Query(_NAMED_KEYS.with_for_update(key_share=True, skip_locked=True))
_KEY_USED = Change(
    update(api_keys)
    .where(_k.key_hash == bindparam("used"))
    .where(or_(_k.last_used_at.is_(None), _k.last_used_at < bindparam("moment")))
    .values(last_used_at=bindparam("moment"))
)


async def move_forward(unit: Unit, moments: Mapping[Owned, datetime]) -> frozenset[Owned]:
    """Set the last use of secrets of any tenants; one that is later already stays.

    Rows that another transaction is changing are passed over, so that this waits for nobody while it holds locks.

    Args:
        unit: the installation's, writing.
        moments: at most `BATCH`.

    Returns:
        Those that were passed over, to be tried again; secrets that are gone are not among them.
    """
    connection, ids = unit.connection, [owned.secret_id for owned in moments]
    there = {Owned(*row) for row in await _SECRETS.rows(connection, ids=ids)} & moments.keys()
    free = {Owned(*row) for row in await _UNLOCKED_SECRETS.rows(connection, ids=ids)} & there
    if free:
        rows = [{"owner": o.tenant_id, "secret": o.secret_id, "moment": moments[o]} for o in sorted(free)]
        await _SECRET_USED.run_each(connection, rows)
    return frozenset(there - free)


async def move_keys_forward(unit: Unit, moments: Mapping[str, datetime]) -> frozenset[str]:
    """Set the last use of API keys, by hash; as `move_forward`."""
    connection, hashes = unit.connection, list(moments)
    there = {row.key_hash for row in await _KEYS.rows(connection, hashes=hashes)}
    free = {row.key_hash for row in await _UNLOCKED_KEYS.rows(connection, hashes=hashes)} & there
    if free:
        rows = [{"used": used, "moment": moments[used]} for used in sorted(free)]
        await _KEY_USED.run_each(connection, rows)
    return frozenset(there - free)
