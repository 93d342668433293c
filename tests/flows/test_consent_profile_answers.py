"""Where a profile says that things are in answers is where they are looked for, whatever was asked (decision 38)."""

import json
import time
from typing import Any

import pytest
from joserfc import jwk, jws

from support.app import World, relationship
from support.consent import CALLBACK, query_of
from support.provider_profiles import make, profile_at
from support.raw_provider import RawConsents, RawProvider, json_answer, tokens_answer

SLACK = {
    "scopes": {"separator": ",", "user_parameter": "user_scope"},
    "answer": {
        "objects": ["authed_user"],
        "account": ["team.name"],
        "account_id": ["team.id"],
        "fails_where": {"ok": False},
        "final_errors": ["token_revoked"],
    },
    "pkce": "off",
}


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    return RawConsents(keyrack, raw_provider)


def slack(desk: RawConsents) -> dict[str, Any]:
    endpoints = profile_at(desk)["endpoints"] | {"revocation": f"{desk.provider.url}/auth.revoke"}
    return profile_at(desk, **SLACK, endpoints=endpoints)


def said(**members: Any) -> bytes:
    return json_answer(json.dumps(members))


async def test_the_bot_s_token_counts_before_the_user_s_and_the_user_s_where_there_is_no_other(
    desk: RawConsents,
) -> None:
    assert (await make(desk, slack(desk))).status_code == 201
    user = {"id": "U1", "access_token": "xoxp", "scope": "chat:write"}
    team = {"ok": True, "team": {"id": "T1", "name": "Acme"}}
    both = await desk.connect(said(**team, access_token="xoxb", scope="a,b", authed_user=user), scopes="a b")
    found = await desk.seen(both)
    assert (found["credentials"]["access_token"], found["account_label"]) == ("xoxb", "Acme")
    assert found["missing_scopes"] == []
    alone = await desk.connect(
        said(**team, authed_user={**user, "refresh_token": "xoxe-1", "expires_in": 60}),
        additional_params={"user_scope": "chat:write"},
    )
    found = await desk.seen(alone)
    assert (found["credentials"]["access_token"], found["credentials"]["scope"]) == ("xoxp", "chat:write")
    assert (found["account_label"], found["account_subject"]) == ("Acme", "T1")
    found = await desk.refresh(alone, said(ok=True, authed_user={"access_token": "xoxp-2", "refresh_token": "xoxe-2"}))
    assert (found["credentials"]["access_token"], found["credentials"]["refresh_token"]) == ("xoxp-2", "xoxe-2")


async def test_an_error_in_a_200_is_one_in_consents_refreshes_and_revocations(desk: RawConsents) -> None:
    assert (await make(desk, slack(desk))).status_code == 201
    failed = await desk.consent(said(ok=False, error="invalid_code"))
    assert failed["attributes"]["status"] == "failed"
    assert "invalid_code" in failed["attributes"]["error"]
    secret_id = await desk.connect(tokens_answer())
    found = await desk.refresh(secret_id, said(ok=False, error="ratelimited", access_token="not one"))
    assert (found["state"], found["credentials"]["access_token"]) == ("ready", "at-new")
    assert found["last_error"]["class"] == "temporary"
    found = await desk.refresh(secret_id, said(ok=False, error="token_revoked"))
    assert (found["state"], found["error_code"]) == ("error", "reauthorization_required")
    desk.provider.answers = [said(ok=True, revoked=True), said(ok=False, error="internal")]
    assert (await desk.who.delete(desk.path(secret_id))).status_code == 204
    await desk.world.services.revoker.tick()
    (told,) = await desk.events("secret.revoked")
    assert (told["outcome"], told["error"]) == ("failed", "internal")
    assert told["tokens"] == {"refresh_token": "revoked", "access_token": "failed"}


async def test_an_id_token_that_a_profile_s_scopes_ask_for_is_judged_kept_and_says_whose_account_it_is(
    desk: RawConsents,
) -> None:
    secret = "a client secret that is long enough for a signature"
    profile = profile_at(desk, scopes={"default": ["openid", "email"]})
    assert (await make(desk, profile, client_secret=secret)).status_code == 201

    async def connected(**claims: Any) -> Any:
        path = f"/v2/workspaces/{desk.tenant.workspace_id}/oauth-consents"
        named = {"auth_client": relationship("auth-client", desk.client_id)}
        begun = (await desk.who.post(path, {"data": {"type": "oauth-consent", "relationships": named}})).json()["data"]
        asked = query_of(begun["attributes"]["authorization_url"])
        now = int(time.time())
        of_all = {"iss": "https://as.example", "aud": "the-client", "sub": "u-7", "email": "ann@example.com"}
        body = {**of_all, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **claims}
        token = jws.serialize_compact({"alg": "HS256"}, json.dumps(body), jwk.import_key(secret, "oct"))
        desk.provider.answers = [tokens_answer(id_token=token)]
        await desk.world.http.get(f"{CALLBACK}?code=c&state={asked['state']}")
        return token, (await desk.who.get(f"{path}/{begun['id']}")).json()["data"]

    token, done = await connected()
    assert done["attributes"]["status"] == "completed", done
    found = await desk.seen(done["relationships"]["auth_secret"]["data"]["id"])
    assert found["credentials"]["undefined_params"]["id_token"] == token
    assert (found["account_label"], found["account_subject"]) == ("ann@example.com", "u-7")
    _, refused = await connected(nonce="another")
    assert refused["attributes"]["status"] == "failed"
