"""Secrets and components with real grants of the bundled simulator behind them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from oauthlib.oauth1 import Client as Signer

from keyrack.ids import new_id
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import with_tokens
from keyrack.simulator.behaviour import Overrides
from keyrack.simulator.config import DEFAULT_CLIENT, Client, SimulatorConfig
from keyrack.simulator.issue import issue_access, issue_refresh
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store
from keyrack.store.leases import Leases
from support.app import BASE, Caller, TenantInTest, World
from support.consent import add_oauth_client, approve, oauth_component


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


def refreshed(simulator: RunningSimulator) -> int:
    """Count the refreshes that the simulator has answered with tokens."""
    return simulator.state.calls(endpoint="token", grant_type="refresh_token", outcome="ok")


def takes(simulator: RunningSimulator, secret: AuthSecret) -> bool:
    """Tell whether the simulator would take the stored refresh token."""
    book = simulator.state.book
    token = book.refresh(secret.credentials["refresh_token"])
    return token is not None and token.state(book.now()) == "active"


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


CLIENT_ID = DEFAULT_CLIENT.client_id
SECRET = DEFAULT_CLIENT.client_secret.reveal()


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    """A simulator that approves every authorization at once."""
    client = Client(client_id=CLIENT_ID, client_secret=DEFAULT_CLIENT.client_secret, redirect_match="any")
    async with running_simulator(
        SimulatorConfig(clients=(client,), behaviour={"approval": "auto"}, access_log=False)
    ) as running:
        yield running


async def component_for(
    keyrack: World, simulator: RunningSimulator, sim: str = "", name: str = "connected", **oauth2: Any
) -> str:
    """Make a global component of Acme, with Globex's own client, for a simulator that behaves as `sim` says."""
    suffix = f"?sim={sim}" if sim else ""
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint + suffix, **oauth2)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], name, descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, SECRET)
    return component_id


def exchanges(simulator: RunningSimulator) -> int:
    """Return how many times a code was sent to the token endpoint."""
    return simulator.state.calls(grant_type="authorization_code")


OAUTH1_CALLBACK = f"{BASE}/callback/oauth1"


def oauth1_component(base: str, request_sim: str = "", token_sim: str = "", **oauth1: Any) -> dict[str, Any]:
    """Return a descriptor of a component with `useOAuthClient` for a provider at `base`, which may be told to misbehave
    while temporary or token credentials are asked for."""
    return {
        "title": "Birdsong",
        "useOAuthClient": True,
        "credentials": {
            "fields": {"nest": {"label": "Nest", "viewClass": "OAuthFieldView"}},
            "oauth1": {
                "consumer_key": "{{BIRD_KEY}}",
                "consumer_secret": "{{BIRD_SECRET}}",
                "request_token_uri": f"{base}/oauth1/request_token?sim={request_sim}",
                "auth_uri": f"{base}/oauth1/authorize",
                "access_token_uri": f"{base}/oauth1/access_token?sim={token_sim}",
                **oauth1,
            },
        },
        "actions": {"run": {"title": "Run", "main": "./run.js"}},
    }


async def oauth1_component_for(
    keyrack: World, simulator: RunningSimulator, name: str = "birdsong", *, secret: str = SECRET, **descriptor: Any
) -> str:
    """Make a global component of Acme, with Globex's own client."""
    made = oauth1_component(simulator.base_url, **descriptor)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], name, made, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, secret)
    return component_id


async def approve_oauth1(authorization_url: str) -> str:
    """Be the browser at the provider until it sends us back; return the callback's address."""
    return await approve(authorization_url, OAUTH1_CALLBACK)


async def oauth1_keys_work(simulator: RunningSimulator, keys: dict[str, Any], secret: str = SECRET) -> bool:
    """Tell whether the provider takes a request that a component signs with what was stored."""
    signer = Signer(CLIENT_ID, secret, keys["oauth_token"], keys["oauth_token_secret"])
    uri, headers, _ = signer.sign(f"{simulator.base_url}/oauth1/me")
    async with httpx2.AsyncClient() as component:
        return (await component.get(uri, headers=headers)).status_code == 200
