"""Tokens that cannot be used as Bearer tokens, and members that belong to one answer only (RFC 6749 section 7.1)."""

from typing import Any

import pytest
from sqlalchemy import select

from keyrack.store.schema import revocations
from support.app import World
from support.consent import add_oauth_client, keys_of, oauth_component, stored
from support.raw_provider import RawConsents, RawProvider, tokens_answer
from support.secrets import changes


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    made = RawConsents(keyrack, raw_provider)
    await made.begin(revocation_uri=f"{raw_provider.url}/revoke")
    return made


async def component(desk: RawConsents) -> str:
    """Add a component of the first generation at the provider, with Acme's client for it."""
    provider = desk.provider
    descriptor = oauth_component(f"{provider.url}/authorize", provider.token_endpoint)
    made = await desk.world.add_component(desk.tenant, "first", descriptor)
    await add_oauth_client(desk.world, "Acme", made, "the-client", "shh")
    return made


async def test_a_consent_that_brings_another_type_of_token_fails_and_its_tokens_are_revoked(desk: RawConsents) -> None:
    for number, kind in enumerate(("DPoP", "dpop", "MAC", "pop"), 1):
        failed = await desk.consent(tokens_answer(token_type=kind))
        assert failed["attributes"]["status"] == "failed", kind
        assert f"a token of the type {kind}," in failed["attributes"]["error"]
        async with desk.world.store.unit(desk.tenant.id) as unit:
            assert len((await unit.connection.execute(select(revocations))).all()) == number
    listed = await desk.who.get(f"/v2/workspaces/{desk.tenant.workspace_id}/secrets")
    assert listed.json()["data"] == []
    failed = await desk.first_generation(tokens_answer(token_type="DPoP"), await component(desk))
    assert failed["attributes"]["status"] == "failed"
    assert await stored(desk.world, "Acme") == []


@pytest.mark.parametrize("kind", ["Bearer", "BEARER", "bot", "user", "", None, 7, "N_A"])
async def test_every_other_word_is_taken_as_bearer(desk: RawConsents, kind: Any) -> None:
    secret_id = await desk.connect(tokens_answer(token_type=kind))
    found = await desk.refresh(secret_id, tokens_answer(access_token="at-2", token_type=kind))
    assert (found["state"], found["credentials"]["access_token"]) == ("ready", "at-2")


async def test_a_refresh_keeps_them_says_so_and_a_good_answer_heals(desk: RawConsents) -> None:
    secret_id = await desk.connect(tokens_answer())
    desk.provider.answers = [tokens_answer(access_token="at-2", refresh_token="rt-2", token_type="DPoP")]
    refused = await desk.who.post(f"{desk.path(secret_id)}/refresh")
    (problem,) = refused.json()["errors"]
    assert (refused.status_code, problem["code"]) == (400, "provider_error")
    assert "a token of the type DPoP," in problem["detail"]
    found = await desk.seen(secret_id)
    assert (found["state"], found["error_code"]) == ("error", "unsupported_token_type")
    assert "a token of the type DPoP," in found["error"]
    assert found["credentials"]["refresh_token"] == "rt-2", "a rotated refresh token is never lost"
    assert "next_refresh_at" in found, "the provider may be put right"
    since = found["error_at"]
    checked = await desk.who.get(f"{desk.path(secret_id)}?min_validity=10")
    assert (checked.status_code, checked.json()["errors"][0]["meta"]["error_code"]) == (409, "unsupported_token_type")
    found = await desk.refresh(secret_id, tokens_answer(refresh_token="rt-3", token_type="mac"))
    assert desk.provider.forms[-1]["refresh_token"] == "rt-2"
    assert (found["error_at"], found["credentials"]["refresh_token"]) == (since, "rt-3")
    (told,) = await desk.events("secret.failed")
    assert (told["secret_id"], told["error_code"]) == (secret_id, "unsupported_token_type")
    found = await desk.refresh(secret_id, tokens_answer(access_token="at-4", token_type="Bearer"))
    assert desk.provider.forms[-1]["refresh_token"] == "rt-3"
    assert (found["state"], found["credentials"]["access_token"]) == ("ready", "at-4")
    assert "error_code" not in found


FIRST = {
    "id_token": "header.claims.one",
    "expires_at": 1,
    "expires_on": "1",
    "ext_expires_in": 3600,
    "issued_at": "1",
    "signature": "of-one",
    "refresh_token_expires_in": 60,
    "refresh_token_expires_at": 99,
    "instance_url": "https://eu.example",
    "api_domain": "https://api.example",
    "realm_id": "r-1",
}
STAYS = {"instance_url": "https://eu.example", "api_domain": "https://api.example", "realm_id": "r-1"}


async def test_what_describes_one_answer_does_not_outlive_it(desk: RawConsents) -> None:
    secret_id = await desk.connect(tokens_answer(**FIRST))
    assert (await desk.seen(secret_id))["credentials"]["undefined_params"] == FIRST
    found = await desk.refresh(secret_id, tokens_answer(refresh_token=None, realm_id="r-2"))
    assert found["credentials"]["undefined_params"] == {**STAYS, "realm_id": "r-2", "refresh_token_expires_at": 99}
    found = await desk.refresh(secret_id, tokens_answer(id_token="two"))
    assert found["credentials"]["undefined_params"] == {**STAYS, "realm_id": "r-2", "id_token": "two"}
    await desk.consent(tokens_answer(), secret_id=secret_id)
    assert (await desk.seen(secret_id))["credentials"]["undefined_params"] == {**STAYS, "realm_id": "r-2"}
    answer = await desk.who.patch(desk.path(secret_id), changes(credentials={"undefined_params": {"id_token": "x"}}))
    assert answer.json()["data"]["attributes"]["credentials"]["undefined_params"] == {"id_token": "x"}


async def test_nor_beside_tokens_that_a_component_hands_back(desk: RawConsents) -> None:
    done = await desk.first_generation(tokens_answer(**FIRST), await component(desk))
    keys = (await keys_of(desk.world, "Acme", done))["oauth"]
    assert keys["undefined_params"] == FIRST
    credential_id = done["relationships"]["credential"]["data"]["id"]
    handed = {"keys": {"oauth": {"access_token": "at-2"}}}
    answer = await desk.who.put(f"/v1/accounts/{credential_id}", handed)
    assert answer.status_code == 200, answer.text
    keys = (await keys_of(desk.world, "Acme", done))["oauth"]
    assert keys["undefined_params"] == {**STAYS, "refresh_token_expires_at": 99}
    assert (keys["refresh_token"], keys["instance_url"]) == ("rt-new", "https://eu.example")
