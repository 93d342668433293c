"""Shows and refreshes auth secrets for an operator on the command line, which the audit log tells."""

from collections.abc import Sequence
from dataclasses import dataclass

from keyrack.errors import NotFound
from keyrack.model.secrets import AuthSecret, SecretFilter
from keyrack.service.authz.access import ALLOWED
from keyrack.service.authz.operator import operator
from keyrack.service.secrets.refresh.refresh_by_hand import FreshTokens
from keyrack.service.secrets.status import SecretStatus, current_status
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_clients import find_usable, find_usable_among
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory
from keyrack.store.secret_list import SecretList
from keyrack.store.tenants import TenantRows

_TARGET = "auth-secret"


@dataclass(frozen=True, slots=True)
class OperatorView:
    """A secret, with what is true of it at this moment."""

    secret: AuthSecret
    status: SecretStatus


class SecretOperations:
    """For whoever works on the machine itself.

    Args:
        store: all data.
        fresh: refreshes, in the same way as for everybody else.
    """

    def __init__(self, store: Store, fresh: FreshTokens) -> None:
        self._store = store
        self._fresh = fresh

    async def list(
        self, tenant_id: str | None, workspace_id: str | None, wanted: SecretFilter, limit: int
    ) -> Sequence[OperatorView]:
        """List secrets as they are stored, tenant by tenant.

        Args:
            tenant_id: only those of a tenant; None: of all.
            workspace_id: only those of a workspace.
            wanted: what else to narrow the list to.
            limit: how many at most.

        Raises:
            NotFound: there is no such tenant or workspace.
        """
        found: list[OperatorView] = []
        for owner in await self._tenants(tenant_id, workspace_id):
            async with self._store.unit(owner) as unit:
                page, _ = await SecretList(unit).page(workspace_id, wanted, limit=limit - len(found), offset=0)
                clients = await find_usable_among(unit, [secret.auth_client_id for secret in page])
                now = unit.clock()
            found += [OperatorView(each, current_status(each, clients.get(each.auth_client_id), now)) for each in page]
            if len(found) >= limit:
                break
        return found

    async def show(self, secret_id: str, *, reveal: bool) -> OperatorView:
        """Return one as it is stored.

        Args:
            secret_id: the secret.
            reveal: its credentials are going to be shown, which is written down.

        Raises:
            NotFound: there is none.
        """
        return await self._view(await self._tenant_of(secret_id), secret_id, "secret.reveal" if reveal else None)

    async def refresh(self, secret_id: str) -> OperatorView:
        """Refresh one now, or wait for the refresh that is running anywhere.

        Raises:
            NotFound: there is none.
            NotRefreshable, ProviderError, ProviderUnavailable, DatabaseUnavailable: as over the API (contract 15.3).
        """
        tenant_id = await self._tenant_of(secret_id)
        before = await self._view(tenant_id, secret_id, "secret.refresh")
        await self._fresh.refresh(before.secret)
        return await self._view(tenant_id, secret_id, None)

    async def _view(self, tenant_id: str, secret_id: str, action: str | None) -> OperatorView:
        async with self._store.unit(tenant_id, writes=action is not None) as unit:
            secret = await AuthSecrets(unit).find(secret_id)
            if secret is None:
                raise _unknown()
            if action is not None:
                await AuditLog(unit).append(operator(), action, (_TARGET, secret_id), ALLOWED)
            return OperatorView(
                secret, current_status(secret, await find_usable(unit, secret.auth_client_id), unit.clock())
            )

    async def _tenant_of(self, secret_id: str) -> str:
        async with self._store.installation() as unit:
            place = await Directory(unit).place("auth_secret", secret_id)
        if place is None:
            raise _unknown()
        return place.tenant_id

    async def _tenants(self, tenant_id: str | None, workspace_id: str | None) -> Sequence[str]:
        async with self._store.installation() as unit:
            if workspace_id is not None:
                place = await Directory(unit).workspace(workspace_id)
                if place is None or tenant_id not in (None, place.tenant_id):
                    raise NotFound("there is no such workspace")
                return [place.tenant_id]
            if tenant_id is None:
                return [tenant.id for tenant in await TenantRows(unit).list()]
            if await Directory(unit).tenant(tenant_id) is None:
                raise NotFound("there is no such tenant")
            return [tenant_id]


def _unknown() -> NotFound:
    return NotFound("there is no such secret")
