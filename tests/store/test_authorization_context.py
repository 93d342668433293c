"""A consent's context comes back as it was stored, by this version or another, and is forgotten at the end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.model.consents import AuthorizationContext, Consent, ConsentIntroduction, ConsentStatus
from keyrack.store.consents import ConsentRows
from keyrack.store.schema import consents
from support.app import World

MISSING = "f" * 24
ID = "000000000000000000000001"
OAUTH2 = AuthorizationContext(
    redirect_uri="https://acme.example/callback/oauth2",
    return_url="https://acme.example/done",
    verifier=Secret("verifier"),
    client_id="client",
    token_endpoint="https://provider.example/token",
    issuer="https://provider.example",
    sends_iss=True,
    nonce="nonce",
    name="Mine",
    scope="a b",
    additional_params={"prompt": "consent"},
    fields={"shop": "acme"},
    auth_method="client_secret_basic",
    long_lived=True,
    authorization_url="https://provider.example/authorize?state=s",
)
BOUND = replace(
    OAUTH2,
    dpop_key=Secret("a key"),
    introduction=ConsentIntroduction(
        starter="Ada", tenant="Acme", workspace="Main", what="Shop", host="provider.example", scopes=("a", "b")
    ),
    link="https://acme.example/consent?link=l",
)
OAUTH1 = replace(OAUTH2, protocol="oauth1", verifier=None, issuer=None, temporary=(Secret("token"), Secret("secret")))
UNASKED = replace(OAUTH1, authorization_url=None, temporary=None)


async def add(keyrack: World, context: AuthorizationContext, status: ConsentStatus = ConsentStatus.pending) -> str:
    acme, now = keyrack.tenants["Acme"], keyrack.store.clock()
    consent = Consent(
        id=ID, tenant_id=acme.id, workspace_id=acme.workspace_id, user_id=acme.admin.id, component_id=MISSING,
        credential_id=None, auth_client_id=None, auth_secret_id=None, status=status, error=None, result_id=None,
        created_at=now, expires_at=now + timedelta(minutes=10), context=context,
    )  # fmt: skip
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await ConsentRows(unit).add(consent, "hash")
    return acme.id


async def found(keyrack: World, tenant_id: str) -> tuple[AuthorizationContext, dict[str, Any]]:
    """Return the context, and how it is stored."""
    async with keyrack.store.unit(tenant_id) as unit:
        rows = ConsentRows(unit)
        consent = await rows.find(ID)
        (row,) = await rows.all(rows.select().where(consents.c.id == ID))
        assert consent is not None
        return consent.context, await unit.open(consents, ID, "sealed_memory", row.sealed_memory)


@pytest.mark.parametrize("context", [OAUTH2, BOUND, OAUTH1, UNASKED, AuthorizationContext()])
async def test_a_context_comes_back_as_it_was_stored(keyrack: World, context: AuthorizationContext) -> None:
    tenant_id = await add(keyrack, context)
    assert (await found(keyrack, tenant_id))[0] == context


async def test_other_versions_find_the_members_they_know(keyrack: World) -> None:
    """During an update replicas of two versions finish each other's consents."""
    _, stored = await found(keyrack, await add(keyrack, UNASKED))
    assert set(stored) == {
        "protocol", "redirect_uri", "return_url", "verifier", "client_id", "token_endpoint", "issuer", "sends_iss",
        "nonce", "name", "scope", "additional_params", "fields", "auth_method", "long_lived",
    }, "what is not there yet has no member"  # fmt: skip


async def test_what_another_version_stored_is_read_as_far_as_it_is_known(keyrack: World) -> None:
    tenant_id = await add(keyrack, OAUTH2)
    other = {"redirect_uri": "https://acme.example/callback/oauth2", "verifier": "v", "of another version": 1}
    async with keyrack.store.unit(tenant_id, writes=True) as unit:
        rows = ConsentRows(unit)
        sealed = await unit.seal(consents, ID, "sealed_memory", other)
        await rows.set_columns(ID, {"sealed_memory": sealed})
    context, _ = await found(keyrack, tenant_id)
    assert context == AuthorizationContext(
        protocol="oauth2", redirect_uri="https://acme.example/callback/oauth2", verifier=Secret("v")
    )


@pytest.mark.parametrize("failed", [False, True])
async def test_at_the_end_only_the_way_back_is_kept(keyrack: World, *, failed: bool) -> None:
    tenant_id = await add(keyrack, BOUND, ConsentStatus.exchanging)
    async with keyrack.store.unit(tenant_id, writes=True) as unit:
        if failed:
            await ConsentRows(unit).fail(ID, "no", BOUND, ConsentStatus.exchanging)
        else:
            await ConsentRows(unit).complete(ID, MISSING, BOUND)
    context, stored = await found(keyrack, tenant_id)
    assert context == AuthorizationContext(redirect_uri=OAUTH2.redirect_uri, return_url=OAUTH2.return_url)
    assert stored == {"redirect_uri": OAUTH2.redirect_uri, "return_url": OAUTH2.return_url}


async def test_of_an_abandoned_consent_nothing_is_kept(keyrack: World) -> None:
    tenant_id = await add(keyrack, UNASKED)
    async with keyrack.store.unit(tenant_id, writes=True) as unit:
        await ConsentRows(unit).abandon(ID, "no")
    assert await found(keyrack, tenant_id) == (AuthorizationContext(), {})


def test_a_context_shows_no_secret() -> None:
    shown = repr(OAUTH1) + repr(BOUND)
    secrets = ("'verifier'", "'token'", "'secret'", "nonce=", "state=s", "link=l", "'shop'")
    assert [each for each in secrets if each in shown] == []
