"""The simulator checks proofs of possession strictly, and binds tokens to their keys (RFC 9449)."""

import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from joserfc import jwk, jwt

from keyrack.crypto.secret import Secret
from keyrack.oauth.dpop import token_hash

CALLBACK = "http://127.0.0.1:1/callback"
KEY, OTHER = (jwk.generate_key("EC", "P-256") for _ in range(2))
Driver = Any
Answer = tuple[int, dict[str, Any], Mapping[str, str]]


def proof(driver: Driver, key: Any = KEY, path: str = "/token", method: str = "POST", **claims: Any) -> str:
    usual = {
        "htm": method,
        "htu": driver.sim.base_url + path,
        "iat": int(time.time()),
        "jti": sha256(repr(time.monotonic_ns()).encode()).hexdigest(),
    }
    header = {"alg": "ES256", "typ": claims.pop("typ", "dpop+jwt"), "jwk": key.as_dict(private=False)}
    given = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(header, given, key)


async def post(driver: Driver, proofs: list[str], **form: str) -> Answer:
    given = {"client_id": driver.client_id, "client_secret": driver.client_secret, **form}
    given = {name: value for name, value in given.items() if value}
    headers = [("DPoP", each) for each in proofs]
    async with driver.http.post(driver.sim.token_endpoint, data=given, headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers


async def exchange(driver: Driver, proofs: list[str], code: str, **form: str) -> Answer:
    more = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **form}
    return await post(driver, proofs, **more)


async def me(driver: Driver, scheme: str, token: str, given: str | None = None) -> tuple[int, str]:
    headers = {"Authorization": f"{scheme} {token}"} | ({} if given is None else {"DPoP": given})
    async with driver.http.get(f"{driver.sim.base_url}/api/me", headers=headers) as answer:
        return answer.status, answer.headers.get("WWW-Authenticate", "")


async def test_tokens_are_bound_to_the_key_of_the_proof(driver: Driver) -> None:
    code = (await driver.authorize(dpop_jkt=KEY.thumbprint()))["code"]
    stolen = await exchange(driver, [proof(driver, OTHER)], code)
    assert (stolen[0], stolen[1]["error"]) == (400, "invalid_grant"), "the code is bound by dpop_jkt"
    status, tokens, _ = await exchange(driver, [proof(driver)], code)
    assert (status, tokens["token_type"]) == (200, "DPoP")
    token = tokens["access_token"]
    mine = {"path": "/api/me", "method": "GET", "ath": token_hash(Secret(token))}
    assert (await me(driver, "DPoP", token, proof(driver, **mine)))[0] == 200
    for scheme, given in (
        ("Bearer", None),
        ("DPoP", None),
        ("DPoP", proof(driver, OTHER, **mine)),
        ("DPoP", proof(driver, **{**mine, "ath": token_hash(Secret("another"))})),
        ("DPoP", proof(driver, **{**mine, "method": "POST"})),
    ):
        assert (await me(driver, scheme, token, given))[0] == 401
    unbound = await driver.connect()
    assert unbound["token_type"] == "Bearer"
    assert (await me(driver, "DPoP", unbound["access_token"], proof(driver, **mine)))[0] == 401


async def test_a_proof_is_judged_in_every_part_and_good_once(driver: Driver) -> None:
    code, now = (await driver.authorize())["code"], int(time.time())
    wrong: list[dict[str, Any]] = [
        {"htm": "GET"}, {"htu": "https://elsewhere.example/token"}, {"htu": f"{driver.sim.token_endpoint}?x=1"},
        {"iat": now - 200}, {"iat": now + 60}, {"iat": None}, {"iat": "now"}, {"jti": None}, {"typ": "JWT"},
        {"nonce": "nobody asked"},
    ]  # fmt: skip
    for claims in wrong:
        status, answer, _ = await exchange(driver, [proof(driver, **claims)], code)
        assert (status, answer["error"]) == (400, "invalid_dpop_proof"), claims
    good = proof(driver)
    head, body, signature = good.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    for proofs in ([forged], ["nonsense"], [good, proof(driver)]):
        assert (await exchange(driver, proofs, code))[1]["error"] == "invalid_dpop_proof"
    status, tokens, _ = await exchange(driver, [good], code)
    assert status == 200
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await post(driver, [good], **again))[1]["error"] == "invalid_dpop_proof", "it was used before"
    assert (await post(driver, [proof(driver, OTHER)], **again))[0] == 200, "a confidential client may change its key"


async def test_a_nonce_is_demanded_and_changes(driver: Driver) -> None:
    driver.behave(dpop_nonce=1_000_000_000)
    code = (await driver.authorize())["code"]
    status, answer, headers = await exchange(driver, [proof(driver)], code)
    assert (status, answer["error"]) == (400, "use_dpop_nonce")
    nonce = headers["DPoP-Nonce"]
    assert (await exchange(driver, [proof(driver, nonce="older")], code))[1]["error"] == "use_dpop_nonce"
    status, tokens, headers = await exchange(driver, [proof(driver, nonce=nonce)], code)
    assert (status, headers["DPoP-Nonce"]) == (200, nonce)
    mine = {"path": "/api/me", "method": "GET", "ath": token_hash(Secret(tokens["access_token"]))}
    status, challenge = await me(driver, "DPoP", tokens["access_token"], proof(driver, **mine))
    assert (status, 'error="use_dpop_nonce"' in challenge) == (401, True)
    assert (await me(driver, "DPoP", tokens["access_token"], proof(driver, nonce=nonce, **mine)))[0] == 200


async def test_it_can_insist_on_proofs_or_know_nothing_of_them(driver: Driver) -> None:
    driver.behave(dpop="required")
    code = (await driver.authorize())["code"]
    assert (await exchange(driver, [], code))[1]["error"] == "invalid_dpop_proof"
    driver.behave(dpop="ignored", dpop_nonce=60)
    status, tokens, headers = await exchange(driver, ["nonsense"], code)
    assert (status, tokens["token_type"], "DPoP-Nonce" in headers) == (200, "Bearer", False)


async def test_a_public_clients_refresh_token_goes_with_its_key_only(driver: Driver) -> None:
    state = driver.sim.state
    client = state.client(driver.client_id)
    public = {"client_secret": Secret(""), "token_endpoint_auth_method": "none"}
    state.put_client(msgspec.structs.replace(client, **public))
    driver.client_secret = ""
    _, tokens, _ = await exchange(driver, [proof(driver)], (await driver.authorize())["code"])
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for proofs in ([], [proof(driver, OTHER)]):
        assert (await post(driver, proofs, **again))[1]["error"] == "invalid_grant"
    assert (await post(driver, [proof(driver)], **again))[0] == 200


@pytest.mark.parametrize("form", ["jwt", "opaque"])
async def test_who_asks_learns_what_a_token_is_bound_to(driver: Driver, form: str) -> None:
    driver.behave(access_token_format=form)
    _, tokens, _ = await exchange(driver, [proof(driver)], (await driver.authorize())["code"])
    credentials = {"client_id": driver.client_id, "client_secret": driver.client_secret}
    asked = {**credentials, "token": tokens["access_token"]}
    async with driver.http.post(f"{driver.sim.base_url}/introspect", data=asked) as answer:
        said = await answer.json()
    assert (said["cnf"], said["token_type"]) == ({"jkt": KEY.thumbprint()}, "DPoP")
    if form == "jwt":
        keys = jwk.KeySet.import_key_set(driver.sim.state.signer.jwks())
        assert jwt.decode(tokens["access_token"], keys).claims["cnf"] == {"jkt": KEY.thumbprint()}
