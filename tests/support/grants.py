"""Auth clients and secrets put straight into the store, with real grants of the simulator behind them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from keyrack.ids import new_id
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import with_tokens
from keyrack.simulator.behaviour import Overrides
from keyrack.simulator.config import DEFAULT_CLIENT
from keyrack.simulator.issue import issue_access, issue_refresh
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store
from keyrack.store.leases import Leases
from support.app import Caller, TenantInTest, World


@dataclass(frozen=True, slots=True)
class Connected:
    """A secret with a live grant."""

    client: AuthClient
    secret: AuthSecret


def mint(simulator: RunningSimulator, scope: str = "") -> dict[str, str]:
    """Let the simulator's user have allowed access before; return the tokens."""
    state = simulator.state
    grant = state.book.open_grant(DEFAULT_CLIENT.client_id, state.config.users[0].login, scope)
    behaviour = state.behaviour("token", DEFAULT_CLIENT.client_id, {})
    return {
        "access_token": issue_access(state, behaviour, grant, scope).value,
        "refresh_token": issue_refresh(state, behaviour, grant, scope).value,
    }


def client_credentials(token_endpoint: str, **more: Any) -> dict[str, Any]:
    """Return the credentials of an auth client at the simulator."""
    return {
        "client_id": DEFAULT_CLIENT.client_id,
        "client_secret": DEFAULT_CLIENT.client_secret.reveal(),
        "auth_uri": token_endpoint.replace("/token", "/authorize"),
        "token_uri": token_endpoint,
        "refresh_token_uri": token_endpoint,
        **more,
    }


async def add_auth_client(store: Store, tenant_id: str, token_endpoint: str, **credentials: Any) -> AuthClient:
    """Store an auth client of a tenant; of the installation for an empty tenant id."""
    client = AuthClient(
        id=new_id(),
        tenant_id=tenant_id,
        contract_id=None,
        workspace_id=None,
        name="Simulator",
        type="oauth2",
        credentials=client_credentials(token_endpoint, **credentials),
    )
    async with store.unit(tenant_id, writes=True) as unit:
        await AuthClientRows(unit).add(client, origin_of(token_endpoint))
        found = await AuthClientRows(unit).find(client.id)
    assert found is not None
    return found


async def add_secret(
    store: Store,
    tenant: TenantInTest,
    client: AuthClient,
    tokens: dict[str, Any],
    *,
    lifetime: int = 3600,
    age: int = 0,
    owner: Caller | None = None,
) -> AuthSecret:
    """Store a secret whose token lives `lifetime` seconds and was issued `age` seconds ago; the admin's by default."""
    issued = datetime.now(UTC) - timedelta(seconds=age)
    empty = AuthSecret(
        id=new_id(), tenant_id=tenant.id, workspace_id=tenant.workspace_id, user_id=(owner or tenant.admin).id,
        auth_client_id=client.id, name="Connection", type="oauth2", credentials={}, auth_method=None, refreshable=False,
        state=SecretState.ready, error=None, error_code=None, error_at=None, issued_at=None, expires_at=None,
        generation=0, due_at=None, retry_at=None, refreshed_at=None, ambiguous_since=None, failure=None,
        failure_count=0, failed_at=None, last_used_at=None, created_at=issued, updated_at=issued,
    )  # fmt: skip
    credentials = {**tokens, "expires_in": lifetime, "undefined_params": {}}
    secret = with_tokens(empty, client, credentials, Schedule(), issued)
    async with store.unit(tenant.id, writes=True) as unit:
        await AuthSecrets(unit).add(secret)
    return secret


async def connect(
    world: World,
    simulator: RunningSimulator,
    behaviour: Overrides | None = None,
    *,
    age: int = 4000,
    **credentials: Any,
) -> Connected:
    """Connect an account of Acme; by default its token has expired."""
    if behaviour is not None:
        simulator.state.set_defaults(behaviour)
    acme = world.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint, **credentials)
    return Connected(client, await add_secret(world.store, acme, client, mint(simulator), age=age))


async def stored(store: Store, secret: AuthSecret) -> AuthSecret:
    """Return a secret as it is stored now."""
    async with store.unit(secret.tenant_id) as unit:
        found = await AuthSecrets(unit).find(secret.id)
    assert found is not None
    return found


async def change(store: Store, secret: AuthSecret, **values: Any) -> AuthSecret:
    """Change members of a stored secret, as if time or somebody had done it."""
    changed = replace(await stored(store, secret), **values)
    async with store.unit(secret.tenant_id, writes=True) as unit:
        await AuthSecrets(unit).replace(changed, refresh_token_replaced=False)
    return changed


async def is_leased(store: Store, secret: AuthSecret) -> bool:
    """Tell whether anybody holds the lease of a secret."""
    async with store.unit(secret.tenant_id) as unit:
        return await Leases(unit).holder(secret.id) is not None


def is_live(simulator: RunningSimulator, secret: AuthSecret) -> bool:
    """Tell whether the simulator takes both tokens of a secret."""
    book, now = simulator.state.book, simulator.state.book.now()
    access = book.access(secret.credentials["access_token"])
    refresh = book.refresh(secret.credentials["refresh_token"])
    tokens = (access, refresh)
    return all(token is not None and token.state(now) == "active" for token in tokens)


def is_renewed(simulator: RunningSimulator, before: AuthSecret, after: AuthSecret) -> bool:
    """Tell whether a secret was refreshed: it has another access token, and the simulator takes both tokens."""
    is_another = after.credentials["access_token"] != before.credentials["access_token"]
    return is_another and is_live(simulator, after)
