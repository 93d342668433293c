"""Plays a containment on an installation of its own, with the simulator as provider, and says how long it took."""

import tempfile
import time
from pathlib import Path
from typing import Any

from keyrack.clock import now
from keyrack.crypto.kek import local
from keyrack.errors import FrozenError
from keyrack.ids import new_id
from keyrack.model.clients import AuthClient
from keyrack.model.containment import FreezeKind, GrantStatus
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.secrets import AuthSecret
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.containment.grant_actions import ContainAction
from keyrack.service.operator.installation import FirstAccounts
from keyrack.service.secrets.changes import SecretOwner, bare
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import with_tokens
from keyrack.settings import Settings, load_settings
from keyrack.simulator.config import DEFAULT_CLIENT, SimulatorConfig
from keyrack.simulator.issue import issue_access, issue_refresh
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store import migrations
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core import engine
from keyrack.store.core.store import Store
from keyrack.wiring.services import Services, build_services
from keyrack.wiring.storage import open_store
from keyrack.wiring.worker import running

_LIFETIME = 3600
_AT_ONCE = 200
_REASON = "a rehearsal"


async def rehearse(grants: int, action: str) -> dict[str, Any]:
    """Play it, and return what became of the grants and how long each part took.

    Nothing of the installation at hand is read or written: it has a folder, a database and a provider of its own.

    Args:
        grants: how many connections there are.
        action: `revoke` or `rotate`.
    """
    with tempfile.TemporaryDirectory(prefix="keyrack-rehearsal-") as folder:
        settings = load_settings(
            {"KEYRACK_HOME": str(Path(folder) / "home"), "KEYRACK_ALLOW_INSECURE_PROVIDERS": "true"}
        )
        await _set_up(settings)
        async with running_simulator(SimulatorConfig(access_log=False)) as simulator:
            store = open_store(settings)
            made = build_services(store, settings)
            async with running(store, made, settings, works=False):
                first = await made.installations.bootstrap("rehearsal@keyrack.invalid", "Rehearsal", "localhost")
                client = await _client(store, first, simulator)
                secrets = await _connections(store, first, client, simulator, grants)
                return await _played(made, simulator, first, client, secrets, ContainAction(action))


async def _played(
    made: Services,
    simulator: RunningSimulator,
    first: FirstAccounts,
    client: AuthClient,
    secrets: list[AuthSecret],
    action: ContainAction,
) -> dict[str, Any]:
    reader = Principal(PrincipalKind.user, first.user_id, first.email, tenant_id=first.tenant_id)

    async def is_refused() -> bool:
        try:
            await made.secrets.get(reader, first.workspace_id, secrets[0].id)
        except FrozenError:
            return True
        return False

    before = await is_refused()
    began = time.monotonic()
    radius = await made.containment.blast_radius(FreezeKind.client, client.id)
    frozen = await made.containment.freeze(FreezeKind.client, client.id, _REASON)
    refused = await is_refused()
    froze = time.monotonic()
    await made.containment.deal_with(frozen, action)
    ended = time.monotonic()
    found = await made.containment.report(frozen)
    await made.containment.lift(frozen.id)
    counts = {status.value: sum(each.status is status for each in found) for status in GrantStatus}
    book = simulator.state.book
    works = sum(_works(book, each) for each in secrets)
    return {
        "grants": radius.grants,
        "action": action.value,
        **counts,
        "first_tokens_that_still_work_at_the_provider": works,
        "reads_refused_while_frozen": refused and not before,
        "seconds_to_freeze": round(froze - began, 2),
        "seconds_to_deal_with_all": round(ended - froze, 2),
        "seconds": round(ended - began, 2),
    }


def _works(book: Any, secret: AuthSecret) -> int:
    """Return how many of the tokens that a connection had at first the provider still takes."""
    at = book.now()
    tokens = (book.access(secret.credentials["access_token"]), book.refresh(secret.credentials["refresh_token"]))
    return sum(token is not None and token.state(at) == "active" for token in tokens)


async def _set_up(settings: Settings) -> None:
    settings.home.mkdir(mode=0o700, parents=True)
    database = engine.create_engine(settings)
    try:
        await migrations.upgrade(database)
    finally:
        await database.dispose()
    local.generate(settings.effective_key_file)


async def _client(store: Store, first: FirstAccounts, simulator: RunningSimulator) -> AuthClient:
    endpoint = simulator.token_endpoint
    credentials = {
        "client_id": DEFAULT_CLIENT.client_id,
        "client_secret": DEFAULT_CLIENT.client_secret.reveal(),
        "auth_uri": simulator.authorization_endpoint,
        "token_uri": endpoint,
        "refresh_token_uri": endpoint,
        "revocation_uri": f"{simulator.base_url}/revoke",
    }
    client = AuthClient(new_id(), first.tenant_id, None, None, "Rehearsal", "oauth2", credentials)
    async with store.unit(first.tenant_id, writes=True) as unit:
        await AuthClientRows(unit).add(client, origin_of(endpoint))
        return await AuthClientRows(unit).find(client.id) or client


async def _connections(
    store: Store, first: FirstAccounts, client: AuthClient, simulator: RunningSimulator, number: int
) -> list[AuthSecret]:
    """Store connections whose users have allowed access at the simulator before."""
    state, owner = simulator.state, SecretOwner(first.tenant_id, first.workspace_id, first.user_id)
    state.set_defaults({"rotation": "strict"})
    behaviour, at = state.behaviour("token", DEFAULT_CLIENT.client_id, {}), now()
    made: list[AuthSecret] = []
    for _ in range(number):
        grant = state.book.open_grant(DEFAULT_CLIENT.client_id, state.config.users[0].login, "")
        tokens = {
            "access_token": issue_access(state, behaviour, grant, "").value,
            "refresh_token": issue_refresh(state, behaviour, grant, "").value,
            "expires_in": _LIFETIME,
            "undefined_params": {},
        }
        empty = bare(owner, client, f"Connection {len(made) + 1}", None, at)
        made.append(with_tokens(empty, client, tokens, Schedule(), at))
    for start in range(0, number, _AT_ONCE):
        async with store.unit(first.tenant_id, writes=True) as unit:
            for secret in made[start : start + _AT_ONCE]:
                await AuthSecrets(unit).add(secret)
    return made
