"""Limits what one tenant may store, so that it cannot fill the installation (contract 0.25; invariant 7)."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keyrack import metrics
from keyrack.errors import NotFound, QuotaExceeded, RateLimited
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.quota_usage import Quota, QuotaUsage
from keyrack.store.tenants import TenantRows

COUNTED: Mapping[Quota, str] = {
    Quota.pending_consents: "consents and connect links of the tenant that are pending and have not expired",
    Quota.api_keys: "API keys of the tenant's users",
    Quota.webhooks: "webhooks of the tenant",
    Quota.secrets: "auth secrets of the tenant",
    Quota.credentials: "credentials of the tenant",
    Quota.flows: "flows of the tenant",
    Quota.document_bytes: "bytes of the tenant's documents as stored: custom data, attributes, descriptors, variables,"
    " graphs with their versions and drafts, credentials and secrets",
    Quota.other_rows: "users, contracts, workspaces, teams, components, builds, OAuth clients, auth clients and invites"
    " of the tenant",
    Quota.mails: "mails that the tenant's invites and setup links caused within a day",
}
"""What counts, for people."""

_ADDS: Mapping[str, Sequence[Quota]] = {
    "api-key.create": [Quota.api_keys],
    # what it ends in is not refused any more when a person has consented; so no other begins once there are too many
    "contract-invite.create": [Quota.mails, Quota.other_rows],
    "contract-invite.send-again": [Quota.mails],
    "setup-link.create": [Quota.mails],
    "connect-link.create": [Quota.pending_consents, Quota.secrets, Quota.credentials],
    "consent.start": [Quota.pending_consents, Quota.secrets, Quota.credentials],
    "credential.create": [Quota.credentials],
    "flow.create": [Quota.flows],
    "secret.create": [Quota.secrets],
    "webhook.create": [Quota.webhooks],
    "auth-client.create": [Quota.other_rows],
    "auth-client.restore": [Quota.other_rows],
    "component.create": [Quota.other_rows],
    "component-version.create": [Quota.other_rows],
    "contract.create": [Quota.other_rows],
    "oauth-client.create": [Quota.other_rows],
    "oauth-client.restore": [Quota.other_rows],
    "team.create": [Quota.other_rows],
    "user.create": [Quota.other_rows],
    "workspace.create": [Quota.other_rows],
}
"""Actions, as the audit log calls them, that add one."""

_WRITES_DOCUMENTS = frozenset(
    f"{kind}.{verb}"
    for kind, verbs in {
        "component": ("create", "edit"),
        "component-env": ("replace",),
        "component-version": ("create",),
        "contract": ("create", "edit"),
        "credential": ("create", "edit"),
        "flow": ("create", "edit", "draft"),
        "secret": ("create", "edit"),
        "tenant": ("change",),
        "workspace": ("create", "edit"),
    }.items()
    for verb in verbs
)
_LARGEST_WRITE = 2 * 1024 * 1024
"""Bytes one action adds at most: a body of 1 MiB, stored twice (a graph and its version)."""

_KNOWN_SECONDS = 30.0
_CHEAP_SECONDS = 0.1
_REST = 10
"""Times as long as a count took that is not cheap, no other is made: it takes no more than a tenth of the time."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How much a tenant has stored of what is limited.

    Attributes:
        tenant_id: the tenant.
        tenant_name: its name.
        used: by quota.
        limits: by quota; 0: none.
    """

    tenant_id: str
    tenant_name: str
    used: Mapping[Quota, int]
    limits: Mapping[Quota, int]


@dataclass(slots=True)
class _Known:
    """What was counted, and how much may have been added in this process since."""

    used: int
    at: float
    rests_until: float
    added: int = 0


class Quotas:
    """Refuses what goes over a tenant's limits.

    A count is remembered for half a minute and counted on in this process, so that a tenant far below its limit costs
    no query. Counting the bytes of one that is near it may take seconds, during which SQLite lets nobody else write:
    then it is not counted again for a while, and its actions wait. Several processes that add at once can go over a
    limit by what they add in that time.

    Args:
        limits: by quota; 0: none.
        monotonic: seconds that never jump.
    """

    def __init__(self, limits: Mapping[Quota, int], monotonic: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._monotonic = monotonic
        self._known: dict[tuple[str, Quota], _Known] = {}

    async def require_room(self, unit: Unit, action: str) -> None:
        """Refuse an action that has put its tenant over a limit; called in its transaction, after it.

        Args:
            unit: of the tenant.
            action: as the audit log calls it.

        Raises:
            QuotaExceeded: `meta` names the quota, its limit and what counts; the transaction must not be committed.
            RateLimited: the tenant is near a limit, and counting took so long that it is not done again yet.
        """
        if not unit.tenant_id:
            return
        for quota in _ADDS.get(action, ()):
            await self._require(unit, quota, 1)
        if action in _WRITES_DOCUMENTS:
            await self._require(unit, Quota.document_bytes, _LARGEST_WRITE)

    async def _require(self, unit: Unit, quota: Quota, most: int) -> None:
        limit = self.limits.get(quota, 0)
        if not limit:
            return
        key, now = (unit.tenant_id, quota), self._monotonic()
        known = self._known.get(key)
        if known is None or now - known.at > _KNOWN_SECONDS or known.used + known.added + most > limit:
            if known is not None and now < known.rests_until:
                raise RateLimited(math.ceil(known.rests_until - now))
            self._forget_old(now)
            used = await QuotaUsage(unit).used(quota)
            took = self._monotonic() - now
            rest = 0.0 if took < _CHEAP_SECONDS else min(took * _REST, _KNOWN_SECONDS)
            known = self._known[key] = _Known(used, now, now + took + rest)
            metrics.quota_used(quota.value, known.used / limit)
            if known.used > limit:
                metrics.quota_exceeded(quota.value)
                raise QuotaExceeded(
                    f"The tenant's quota of {limit} is used up: {COUNTED[quota]}. Delete what is not needed, or ask the"
                    f" operator, who sets it with {_setting(quota)}.",
                    meta={"quota": quota.value, "limit": limit, "counts": COUNTED[quota]},
                )
        else:
            known.added += most

    def _forget_old(self, now: float) -> None:
        self._known = {
            key: known
            for key, known in self._known.items()
            if now - known.at <= _KNOWN_SECONDS or now < known.rests_until
        }


def _setting(quota: Quota) -> str:
    name = "document_megabytes" if quota is Quota.document_bytes else quota.value
    return f"KEYRACK_QUOTA_{name.upper()}"


async def usage(store: Store, limits: Mapping[Quota, int], tenant_id: str | None) -> Sequence[QuotaUse]:
    """Return what tenants have stored of what is limited.

    Args:
        store: where it is.
        limits: by quota; 0: none.
        tenant_id: of one tenant; None: of all, by id.

    Raises:
        NotFound: there is no such tenant.
    """
    async with store.installation() as unit:
        wanted = [each for each in await TenantRows(unit).list() if tenant_id in (None, each.id)]
    if tenant_id is not None and not wanted:
        raise NotFound("there is no such tenant")
    found = []
    for tenant in wanted:
        async with store.unit(tenant.id) as unit:
            used = {quota: await QuotaUsage(unit).used(quota) for quota in Quota}
        found.append(QuotaUse(tenant.id, tenant.name, used, limits))
    return found


async def over(
    store: Store, limits: Mapping[Quota, int], tenant_id: str, more: Mapping[Quota, int] | None = None
) -> Sequence[str]:
    """Return the quotas that a tenant is over, each with its numbers, for people.

    What the operator's own commands bring is never refused, as half a tenant would be left behind; but it counts.

    Args:
        store: where it is.
        limits: by quota; 0: none.
        tenant_id: the tenant.
        more: what is to come beside what is stored, by quota.

    Raises:
        NotFound: there is no such tenant.
    """
    (found,) = await usage(store, limits, tenant_id)
    numbers = {quota: used + (more or {}).get(quota, 0) for quota, used in found.used.items()}
    return [
        f"tenant {tenant_id} is over its quota: {numbers[quota]} {COUNTED[quota]}, and it may have {limit}; nobody can"
        f" add one before {_setting(quota)} is raised"
        for quota, limit in limits.items()
        if limit and numbers[quota] > limit
    ]
