"""Refreshes that carry proofs: a server that wants its nonce is asked twice, and nothing is lost (RFC 9449)."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from sqlalchemy import select

from keyrack.store.attempts import AttemptResult
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.leases import Lease, LeaseLost, Leases
from keyrack.store.schema import attempts
from support.app import World
from support.profiled_clients import profiled_client
from support.raw_provider import RawConsents, RawProvider, json_answer, tokens_answer

BOUND = {"token_type": "DPoP", "expires_in": 3600}


def wants(nonce: str) -> bytes:
    return json_answer('{"error": "use_dpop_nonce"}', "400 Bad Request", DPoP_Nonce=nonce)


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    """A desk whose client has tokens bound to keys."""
    desk = RawConsents(keyrack, raw_provider)
    endpoints = {"authorization": f"{raw_provider.url}/authorize", "token": raw_provider.token_endpoint}
    profile = {"name": "bound", "endpoints": endpoints, "dpop": "ES256"}
    desk.client_id = await profiled_client(keyrack, profile, client_id="c", client_secret="s")
    return desk


def proofs(desk: RawConsents) -> list[dict[str, Any]]:
    """Return the claims of the proof of every request, with the key that each carried."""
    found = []
    for request in desk.provider.requests:
        head = request.partition(b"\r\n\r\n")[0].decode()
        (proof,) = (line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("dpop:"))
        header, claims = (json.loads(urlsafe_b64decode(part + "===")) for part in proof.split(".")[:2])
        found.append({**claims, "key": header["jwk"]})
    return found


async def journal(desk: RawConsents) -> list[str | None]:
    async with desk.world.store.unit(desk.tenant.id) as unit:
        return [row.outcome for row in (await unit.connection.execute(select(attempts.c.outcome))).all()]


async def ambiguous(desk: RawConsents, secret_id: str) -> bool:
    async with desk.world.store.unit(desk.tenant.id) as unit:
        stored = await AuthSecrets(unit).find(secret_id)
    assert stored is not None
    return stored.ambiguous_since is not None


async def test_a_nonce_costs_one_more_request_and_is_remembered(desk: RawConsents) -> None:
    secret_id = await desk.connect(tokens_answer(**BOUND))
    desk.provider.answers = [wants("n1"), json_answer(tokens(refresh_token="rt-2", **BOUND), DPoP_Nonce="n2")]
    assert (await desk.who.post(f"{desk.path(secret_id)}/refresh")).status_code == 200
    found = await desk.refresh(secret_id, tokens_answer(refresh_token="rt-3", **BOUND))
    assert (found["state"], found["credentials"]["refresh_token"]) == ("ready", "rt-3")
    sent = proofs(desk)
    assert [each.get("nonce") for each in sent] == [None, None, "n1", "n2"]
    assert {each["htu"] for each in sent} == {desk.provider.token_endpoint}
    assert len({each["jti"] for each in sent}) == 4
    assert len({json.dumps(each["key"]) for each in sent}) == 1, "one key for the whole grant"
    assert [form.get("refresh_token") for form in desk.provider.forms] == [None, "rt-new", "rt-new", "rt-2"]
    assert await journal(desk) == []


async def test_a_nonce_again_and_again_is_a_refusal_and_the_token_is_as_good_as_before(desk: RawConsents) -> None:
    secret_id = await desk.connect(tokens_answer(**BOUND))
    before = len(desk.provider.requests)
    found = await desk.refresh(secret_id, wants("n1"))
    assert len(desk.provider.requests) - before == 2
    assert (found["state"], found["credentials"]["refresh_token"]) == ("ready", "rt-new")
    assert await journal(desk) == [AttemptResult.failed.value]
    assert not await ambiguous(desk, secret_id)


async def test_what_becomes_of_the_second_request_counts(desk: RawConsents, monkeypatch: pytest.MonkeyPatch) -> None:
    secret_id = await desk.connect(tokens_answer(**BOUND))
    desk.provider.answers = [wants("n1"), b""]  # it closes the connection: nobody knows whether it took the token
    await desk.who.post(f"{desk.path(secret_id)}/refresh")
    assert await ambiguous(desk, secret_id)
    await desk.refresh(secret_id, tokens_answer(refresh_token="rt-2", **BOUND))
    assert not await ambiguous(desk, secret_id)
    before = len(desk.provider.requests)

    extend = Leases.extend

    async def lost(leases: Leases, lease: Lease, length_ms: int) -> None:
        if len(desk.provider.requests) > before:  # the first request was answered
            raise LeaseLost
        await extend(leases, lease, length_ms)

    monkeypatch.setattr(Leases, "extend", lost)
    desk.provider.answers = [wants("n2"), tokens_answer(**BOUND)]
    refused = await desk.who.post(f"{desk.path(secret_id)}/refresh")
    assert "Another process has taken over the refresh." in refused.text
    assert len(desk.provider.requests) - before == 1, "without the lease the token is another process's to send"


async def test_tokens_that_are_not_bound_are_kept_but_not_called_good(desk: RawConsents) -> None:
    failed = await desk.consent(tokens_answer(token_type="Bearer"))
    assert failed["attributes"]["status"] == "failed"
    assert "which is not bound to the connection's key" in failed["attributes"]["error"]
    secret_id = await desk.connect(tokens_answer(**BOUND))
    found = await desk.refresh(secret_id, tokens_answer(access_token="at-2", refresh_token="rt-2", token_type="Bearer"))
    assert (found["state"], found["error_code"]) == ("error", "unsupported_token_type")
    assert found["credentials"]["refresh_token"] == "rt-2", "a rotated refresh token is never lost"
    assert "token_type" not in found["credentials"]
    found = await desk.refresh(secret_id, tokens_answer(access_token="at-3", **BOUND))
    assert (found["state"], found["credentials"]["token_type"]) == ("ready", "DPoP")


async def test_connecting_again_takes_another_key_and_tokens_by_hand_are_bound_to_none(desk: RawConsents) -> None:
    secret_id = await desk.connect(tokens_answer(**BOUND))
    done = await desk.consent(tokens_answer(**BOUND), secret_id=secret_id)
    assert done["attributes"]["status"] == "completed"
    await desk.refresh(secret_id, tokens_answer(**BOUND))
    first, second, third = (json.dumps(each["key"]) for each in proofs(desk))
    assert first != second == third
    sent_back = {"access_token": "by hand", "refresh_token": "rt-h", "token_type": "DPoP"}
    body = {"data": {"type": "auth-secret", "id": secret_id, "attributes": {"credentials": sent_back}}}
    changed = await desk.who.patch(desk.path(secret_id), body)
    assert changed.status_code == 200, changed.text
    assert "token_type" not in changed.json()["data"]["attributes"]["credentials"]
    found = await desk.refresh(secret_id, tokens_answer(**BOUND))
    assert found["credentials"]["token_type"] == "DPoP", "what a refresh brings is bound again"


def tokens(**members: Any) -> str:
    return json.dumps({"access_token": "at-new", "refresh_token": "rt-new", **members})
