"""Deletes for good what can no longer be restored; run by the worker, each client in a transaction of its own."""

from datetime import UTC, datetime

import structlog

from keyrack.errors import DatabaseUnavailable, KeyrackError
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.rotations import RotatedClient
from keyrack.service.authz.access import ALLOWED
from keyrack.service.clients.deletion_window import forget
from keyrack.service.rotation.rotated_clients import entered
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.deleted_clients import DeletedClientsAcrossTenants

log = structlog.get_logger()

WORKER = Principal(PrincipalKind.system, "", "deleted-clients")
_AT_ONCE = 100
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class ClientPurge:
    """Several workers may do it at once: whoever comes second finds nothing left."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tick(self) -> int:
        """Delete what is over; return how many clients.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        number, after, last = 0, _FIRST, ""
        while True:
            async with self._store.installation() as unit:
                page = await DeletedClientsAcrossTenants(unit).ended(after, last, _AT_ONCE)
            for tenant_id, client_id, _ in page:
                try:
                    number += await self._forget(tenant_id, client_id)
                except DatabaseUnavailable:
                    raise
                except KeyrackError as error:  # its key service does not answer: the others are not kept by that
                    log.warning("a deleted client is still kept", client=client_id, reason=str(error))
            if len(page) < _AT_ONCE:
                return number
            _, last, after = page[-1]

    async def _forget(self, tenant_id: str, client_id: str) -> bool:
        async with entered(self._store, RotatedClient("", tenant_id, client_id), writes=True) as unit:
            gone = await forget(unit, client_id, ended=True)
            if gone is None:
                return False
            await AuditLog(unit).append(WORKER, f"{gone.kind.value}.purge", (gone.kind.value, client_id), ALLOWED)
            return True
