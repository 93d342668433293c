"""Says, after the database was restored from a backup, which grants need a look, and writes the doubt about them down.

A backup has the refresh tokens of its moment. Those that were used since are dead where the provider gives each only
once, and their successors went with the database. Nothing is asked of any provider here: a token is tried when its
grant is due, as always, and what a refusal means then is known (`refresh_interrupted`, decision 11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from keyrack.errors import ConfigurationError
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.service.authz.access import ALLOWED
from keyrack.service.authz.operator import operator
from keyrack.service.clients.auth_client_profile import spends_refresh_tokens
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_clients import find_usable_among
from keyrack.store.core.store import Store
from keyrack.store.restored_grants import RestoredGrants, newest_change
from keyrack.store.tenants import TenantRows

_AT_ONCE = 500


class Look(StrEnum):
    """Why somebody should look at a grant."""

    renewed = "renewed"
    """It was due before the database was lost, so its restored refresh token has probably been used."""

    over = "over"
    """Its restored token was tried and refused: whoever connected the account has to connect it again."""


@dataclass(frozen=True, slots=True)
class RestoredGrant:
    """A grant that needs a look. `secret` has no credentials."""

    secret: AuthSecret
    client_name: str
    look: Look


@dataclass(frozen=True, slots=True)
class RestoredReport:
    """What a restore means for the grants.

    Attributes:
        since: the newest moment that the restored database knows; what was done later is lost.
        until: when the database was lost.
        grants: those that are refreshed at all.
        reusable: of those that were due, how many are of providers whose refresh tokens are not used up.
        looks: how many need a look, by reason.
        doubted: of how many it was written down now.
        listed: those that need a look, as many as were asked for.
    """

    since: datetime
    until: datetime
    grants: int
    reusable: int
    looks: dict[Look, int]
    doubted: int
    listed: Sequence[RestoredGrant]


class Restored:
    """For whoever has restored the database.

    Args:
        store: all data.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def report(
        self, since: datetime | None, until: datetime | None, *, limit: int, changes: bool
    ) -> RestoredReport:
        """Look through the grants of all tenants.

        Args:
            since: when the backup was taken; None: the newest moment that the database knows.
            until: when the database was lost; None: now.
            limit: how many grants are listed.
            changes: write down which are in doubt; else only say so. Doing it again changes nothing.

        Raises:
            ConfigurationError: the moments cannot be right.
        """
        async with self._store.installation() as unit:
            known = since or await newest_change(unit)
            tenants = [tenant.id for tenant in await TenantRows(unit).list()]
        ended = until or self._store.clock()
        if known is None:
            raise ConfigurationError("nothing has happened in this database; is it the restored one?")
        if ended < known:
            raise ConfigurationError("the database cannot have been lost before the backup was taken")
        found = _Found(limit)
        for tenant_id in tenants:
            await self._through(tenant_id, known, ended, found, changes=changes)
        looks = {look: found.looks[look] for look in Look}
        return RestoredReport(known, ended, found.grants, found.reusable, looks, found.doubted, found.listed)

    async def _through(
        self, tenant_id: str, since: datetime, until: datetime, found: "_Found", *, changes: bool
    ) -> None:
        async with self._store.unit(tenant_id) as unit:
            found.grants += await RestoredGrants(unit).refreshable()
        last, doubted = "", 0
        while True:
            async with self._store.unit(tenant_id, writes=changes) as unit:
                page = await RestoredGrants(unit).in_question(until, last, _AT_ONCE)
                clients = await find_usable_among(unit, {secret.auth_client_id for secret in page})
                doubtful = list[str]()
                for secret in page:
                    client = clients.get(secret.auth_client_id)
                    if _is_over(secret):
                        found.add(secret, client.name if client else "", Look.over)
                    elif client is not None and not client.damaged and not spends_refresh_tokens(client):
                        found.reusable += 1
                    else:
                        found.add(secret, client.name if client else "", Look.renewed)
                        doubtful.append(secret.id)
                if changes and doubtful:
                    marked = await RestoredGrants(unit).doubt(doubtful, since)
                    if marked and not doubted:  # with the first, so that a run that breaks off has said so
                        await AuditLog(unit).append(operator(), "secret.doubt", ("tenant", tenant_id), ALLOWED)
                    doubted += marked
            if len(page) < _AT_ONCE:
                found.doubted += doubted
                return
            last = page[-1].id


class _Found:
    """What was found so far."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.grants = self.reusable = self.doubted = 0
        self.looks = dict.fromkeys(Look, 0)
        self.listed = list[RestoredGrant]()

    def add(self, secret: AuthSecret, client_name: str, look: Look) -> None:
        self.looks[look] += 1
        if len(self.listed) < self._limit:
            self.listed.append(RestoredGrant(secret, client_name, look))


def _is_over(secret: AuthSecret) -> bool:
    return secret.state is SecretState.error and secret.error_code is ErrorCode.refresh_interrupted
