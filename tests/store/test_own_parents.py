"""The store itself puts nothing below what is another tenant's, whoever has looked before (invariant 1).

On both databases. `tests/tenancy/test_parents_of_rows.py` goes through all tables.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from keyrack.clock import now
from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, RelatedNotFound
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.consents import AuthorizationContext, Consent, ConsentStatus
from keyrack.model.identity import PrincipalKind
from keyrack.model.secrets import AuthSecret
from keyrack.model.single_sign_on import AuthenticationContext, AuthenticationRequest
from keyrack.model.tenancy import WorkspaceType
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.authentication_requests import AuthenticationRequests
from keyrack.store.authenticators import Authenticators, PendingSignIns
from keyrack.store.components import ComponentRows
from keyrack.store.consents import ConsentRows
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.contracts import ContractMembers
from keyrack.store.core.unit import Unit
from keyrack.store.credentials import CredentialRows
from keyrack.store.device_polls import DevicePollRows
from keyrack.store.flows import FlowRows
from keyrack.store.single_sign_on import LinkedIdentities
from keyrack.store.workspaces import WorkspaceRows
from support.app import TenantInTest, World
from support.grants import add_auth_client, add_secret

TOKENS = {"access_token": "at", "refresh_token": "rt"}
GRAPH: Json = {"nodes": [], "edges": []}
Put = Callable[[Unit, "Parents"], Awaitable[object]]


class Parents:
    """What a tenant's rows can belong to."""

    def __init__(self, tenant: TenantInTest, secret: AuthSecret) -> None:
        self.contract, self.workspace, self.user = tenant.contract_id, tenant.workspace_id, tenant.integrator.id
        self.secret, self.consent = secret, new_id()


async def parents_of(world: World, tenant: TenantInTest) -> Parents:
    client = await add_auth_client(world.store, tenant.id, "http://127.0.0.1:8/token")
    made = Parents(tenant, await add_secret(world.store, tenant, client, TOKENS))
    consent = Consent(
        id=made.consent, tenant_id=tenant.id, workspace_id=made.workspace, user_id=made.user, component_id=None,
        credential_id=None, auth_client_id=client.id, auth_secret_id=None, status=ConsentStatus.pending, error=None,
        result_id=None, created_at=now(), expires_at=now(), context=AuthorizationContext(),
    )  # fmt: skip
    async with world.store.unit(tenant.id, writes=True) as unit:
        await ConsentRows(unit).add(consent, f"state of {tenant.id}")
    return made


def request_of(user_id: str) -> AuthenticationRequest:
    context = AuthenticationContext("https://id.example", "c", "https://x.example", Secret("v"), "n", "")
    return AuthenticationRequest(new_id(), user_id, "b" * 64, context, now(), now())


def secret_like(mine: Parents, **other: str) -> AuthSecret:
    return replace(mine.secret, id=new_id(), **other)  # type: ignore[arg-type] # ids are texts


def cases(mine: Parents) -> dict[str, Put]:
    """Return what is put where, with all parents but the one in question the tenant's own."""
    return {
        "workspace in contract": lambda unit, at: WorkspaceRows(unit).add(at.contract, "New", WorkspaceType.full, {}),
        "credential in workspace": lambda unit, at: CredentialRows(unit).add(
            at.workspace, "c" * 24, mine.user, "N", {}
        ),
        "credential of user": lambda unit, at: CredentialRows(unit).add(mine.workspace, "c" * 24, at.user, "N", {}),
        "session of user": lambda unit, at: ConsoleSessions(unit).add(
            PrincipalKind.user, at.user, "h" * 64, None, "text"
        ),
        "authenticator of user": lambda unit, at: Authenticators(unit).begin(
            PrincipalKind.user, at.user, Secret("A" * 32), "s" * 24
        ),
        "waiting sign-in of user": lambda unit, at: PendingSignIns(unit).add(
            PrincipalKind.user, at.user, "h" * 64, unit.clock()
        ),
        "link of user": lambda unit, at: LinkedIdentities(unit).add(at.user, "https://id.example", at.user, None),
        "test of user": lambda unit, at: AuthenticationRequests(unit).add(request_of(at.user), new_id()),
        "poll of consent": lambda unit, at: DevicePollRows(unit).add(at.consent, 5, now()),
        "flow in workspace": lambda unit, at: FlowRows(unit).add(at.workspace, mine.user, "N", "ordinary", GRAPH, {}),
        "secret in workspace": lambda unit, at: AuthSecrets(unit).add(secret_like(mine, workspace_id=at.workspace)),
        "secret of auth client": lambda unit, at: AuthSecrets(unit).add(
            secret_like(mine, auth_client_id=at.secret.auth_client_id)
        ),
    }


async def test_nothing_is_put_below_what_is_another_tenants(keyrack_on_each: World) -> None:
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    mine, theirs = await parents_of(keyrack_on_each, acme), await parents_of(keyrack_on_each, globex)
    for put in cases(mine).values():
        async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
            with pytest.raises(RelatedNotFound):
                await put(unit, theirs)
            await put(unit, mine)  # the transaction goes on


async def test_a_secret_may_be_of_a_global_auth_client(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(keyrack_on_each.store, "", "http://127.0.0.1:8/token")
    secret = await add_secret(keyrack_on_each.store, acme, client, TOKENS)
    async with keyrack_on_each.store.unit(acme.id) as unit:
        assert await AuthSecrets(unit).find(secret.id) is not None


async def test_a_whitelist_takes_a_shared_component_but_no_contract_of_another_tenant(keyrack_on_each: World) -> None:
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    component = await keyrack_on_each.add_component(globex, "shared", access="global")
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        await ComponentRows(unit).set_whitelist(component, [acme.contract_id])
        with pytest.raises(RelatedNotFound):
            await ComponentRows(unit).set_whitelist(component, [globex.contract_id])


async def test_what_is_there_already_is_told_from_what_has_no_parent(keyrack_on_each: World) -> None:
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        members = ContractMembers(unit)
        with pytest.raises(AlreadyExists):
            await members.add(acme.contract_id, acme.guest.id, ["member"])
        for contract_id, user_id in ((globex.contract_id, acme.guest.id), (acme.contract_id, globex.guest.id)):
            with pytest.raises(RelatedNotFound):
                await members.add(contract_id, user_id, ["member"])
