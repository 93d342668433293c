"""Shows a workspace's auth secrets to people: health, auth client and owner by name, and no credentials."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from keyrack.clock import Clock
from keyrack.errors import NotFound
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.identity import Principal
from keyrack.model.secrets import AuthSecret, SecretFilter
from keyrack.oauth.profiles.model import DatedRule
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import GET_SECRET
from keyrack.service.clients.auth_client_profile import direct_grant
from keyrack.service.clients.provider_rules import rules_of_connection
from keyrack.service.secrets.status import SecretStatus, current_status
from keyrack.store.auth_clients import find_usable_among
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.secret_list import SecretList
from keyrack.store.users import UserRows


@dataclass(frozen=True, slots=True)
class Connection:
    """An auth secret without its credentials, as it is at this moment.

    Attributes:
        secret: as stored; its credentials are left out.
        status: what is true of it now.
        client_name: of its auth client; empty if that is gone.
        is_rejected: the provider rejects the auth client itself.
        component_ids: components that the auth client is linked to.
        needs_nobody: the auth client's grant gives tokens without a person.
        rules: of its provider, which came into force since it was made, or will within 90 days.
        owner: the email of whose it is; only where one is looked at alone.
    """

    secret: AuthSecret
    status: SecretStatus
    client_name: str
    is_rejected: bool
    component_ids: Sequence[str]
    needs_nobody: bool = False
    rules: Sequence[DatedRule] = ()
    owner: str = ""


class Connections:
    """For those who may see a workspace's secrets.

    Args:
        access: the way into every operation.
        clock: the time.
    """

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    async def list(
        self, who: Principal, workspace_id: str, wanted: SecretFilter, *, limit: int, offset: int
    ) -> tuple[Sequence[Connection], int]:
        """List a workspace's secrets by id, as they are stored; return a page and the total."""
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(GET_SECRET)
            found, total = await SecretList(scope.unit).page(
                workspace_id, wanted, with_credentials=False, limit=limit, offset=offset
            )
            return await self._connections(scope, found), total

    async def get(self, who: Principal, workspace_id: str, secret_id: str) -> Connection:
        """Return one as it is stored.

        Raises:
            NotFound: the workspace has no such secret.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(GET_SECRET)
            found = await AuthSecrets(scope.unit).find_without_credentials(secret_id)
            if found is None or found.workspace_id != workspace_id:
                raise NotFound("there is no such secret in this workspace")
            (shown,) = await self._connections(scope, [found])
            owner = await UserRows(scope.unit).find(found.user_id)
            return shown if owner is None else replace(shown, owner=owner.email)

    async def _connections(self, scope: Scope, found: Sequence[AuthSecret]) -> Sequence[Connection]:
        now = self._clock()
        clients = await find_usable_among(scope.unit, [each.auth_client_id for each in found])
        return [_connection(each, clients.get(each.auth_client_id), now) for each in found]


def _connection(secret: AuthSecret, client: AuthClient | None, now: datetime) -> Connection:
    status = current_status(secret, client, now)
    rejected = client is not None and client.rejected_at is not None
    return Connection(
        secret,
        status,
        client.name if client else "",
        rejected,
        client.component_ids if client else (),
        needs_nobody=client is not None and is_oauth2(client.type) and direct_grant(client) is not None,
        rules=rules_of_connection(secret, client, now),
    )
