"""Nonce and ID token of a consent that asks for `openid` (OpenID Connect Core 3.1.2.1, 3.1.3.7; issue 8.12)."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from keyrack import clock
from keyrack.errors import DatabaseUnavailable
from keyrack.model.consents import ConsentStatus
from keyrack.service.consents import server_metadata
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.store.consents import ConsentRows
from support.app import BASE, World, settings_for, world
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK, add_oauth_client, connect, oauth_component, query_of, seen
from support.grants import add_auth_client
from support.raw_provider import LoopbackServers, json_answer
from support.waits_and_faults import fail_once

KEY = RSAKey.generate_key(2048, {"kid": "one"})
CURVED = ECKey.generate_key("P-256", {"kid": "two"})
FOREIGN = RSAKey.generate_key(2048, {"kid": "one"})
CLIENT, SECRET = "a-client", "a client secret that is long enough"
MISSING = object()


class RawIssuer:
    """An authorization server on loopback that answers each path with the bytes a test gives."""

    def __init__(self, servers: LoopbackServers) -> None:
        self._servers = servers
        self.url = ""
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def start(self) -> None:
        self.url = f"http://127.0.0.1:{await self._servers.start(self._serve)}"
        metadata = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.answers["/.well-known/openid-configuration"] = json_answer(json.dumps(metadata))
        self.publish(KEY, CURVED)

    def publish(self, *keys: RSAKey | ECKey) -> None:
        self.answers["/keys"] = json_answer(json.dumps({"keys": [key.as_dict(private=False) for key in keys]}))

    def give(self, id_token: Any) -> None:
        tokens = {"access_token": "at", "refresh_token": "rt", "token_type": "Bearer", "expires_in": 3600}
        self.answers["/token"] = json_answer(
            json.dumps(tokens if id_token is MISSING else tokens | {"id_token": id_token})
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await self._servers.read(reader)
        path = request.split(b" ", 2)[1].decode()
        self.asked.append(path)
        writer.write(self.answers.get(path, json_answer("{}", "404 Not Found")))
        await writer.drain()


@pytest.fixture
async def issuer() -> AsyncIterator[RawIssuer]:
    servers = LoopbackServers()
    found = RawIssuer(servers)
    await found.start()
    yield found
    await servers.stop()


def signed(claims: dict[str, Any], alg: str = "RS256", key: Any = KEY, **header: Any) -> str:
    named = {} if key.kid is None else {"kid": key.kid}
    return jws.serialize_compact({"alg": alg, **named, **header}, json.dumps(claims), key, [alg])


def unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


class Consenting:
    """Consents of Acme's integrator with an auth client of a raw issuer."""

    def __init__(self, world: World, issuer: RawIssuer, *, known: bool = True) -> None:
        self.world, self.issuer, self.acme = world, issuer, world.tenants["Acme"]
        self.named = {"issuer": issuer.url} if known else {}
        self.client_id = self.consent_id = ""

    async def begin(self, scopes: str = "openid email") -> tuple[str, dict[str, str]]:
        if not self.client_id:
            given = {"client_id": CLIENT, "client_secret": SECRET, **self.named}
            client = await add_auth_client(self.world.store, self.acme.id, f"{self.issuer.url}/token", **given)
            self.client_id = client.id
        relationships = {"auth_client": {"data": {"id": self.client_id, "type": "auth-client"}}}
        data = {"type": "oauth-consent", "attributes": {"scopes": scopes}, "relationships": relationships}
        path = f"/v2/workspaces/{self.acme.workspace_id}/oauth-consents"
        started = (await self.acme.integrator.post(path, {"data": data})).json()["data"]
        return started["id"], query_of(started["attributes"]["authorization_url"])

    async def end(self, consent_id: str, state: str) -> tuple[str, str]:
        await self.world.http.get(f"{CALLBACK}?code=a-code&state={state}&iss={self.issuer.url}")
        ended = await seen(self.world, "Acme", consent_id)
        return ended["status"], ended.get("error", "")

    async def with_token(self, make: Callable[[dict[str, Any]], Any]) -> tuple[str, str]:
        consent_id, asked = await self.begin()
        self.consent_id = consent_id
        claims = {"iss": self.issuer.url, "aud": CLIENT, "sub": "me", "exp": int(time.time()) + 600}
        self.issuer.give(make(claims | {"nonce": asked["nonce"]}))
        return await self.end(consent_id, asked["state"])


# fmt: off
GOOD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "signed by RSA":          signed,
    "signed by a curve":      lambda c: signed(c, "ES256", CURVED),
    "signed by the secret":   lambda c: signed(c, "HS256", OctKey.import_key(SECRET)),
    "several audiences":      lambda c: signed(c | {"aud": ["another", CLIENT], "azp": CLIENT}),
    "a clock that is behind": lambda c: signed(c | {"exp": int(time.time()) - 60}),
    "no id token at all":     lambda _: MISSING,  # some servers know the scope and send none
    "null":                   lambda _: None,
    "many groups":            lambda c: signed(c | {"groups": [f"group {n}" * 5 for n in range(2000)]}),
}
BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another nonce":     (lambda c: signed(c | {"nonce": "another"}),                        "nonce"),
    "no nonce":          (lambda c: signed({n: v for n, v in c.items() if n != "nonce"}),    "nonce"),
    "another client's":  (lambda c: signed(c | {"aud": "another"}),                          "another client"),
    "no audience":       (lambda c: signed({n: v for n, v in c.items() if n != "aud"}),      "another client"),
    "another party":     (lambda c: signed(c | {"aud": [CLIENT, "b"], "azp": "b"}),          "another client"),
    "another issuer's":  (lambda c: signed(c | {"iss": "https://elsewhere.example"}),        "another auth"),
    "expired":           (lambda c: signed(c | {"exp": int(time.time()) - 600}),             "expired"),
    "no expiry":         (lambda c: signed({n: v for n, v in c.items() if n != "exp"}),      "when it expires"),
    "signed by another": (lambda c: signed(c, key=FOREIGN),                                  "signature"),
    "by anybody":        (lambda c: signed(c, "HS256", OctKey.import_key("x" * 40)),          "signature"),
    "not signed":        (unsigned,                                                          "without a signature"),
    "no token":          (lambda _: "not a token",                                           "cannot be read"),
    "encrypted":         (lambda _: "a.b.c.d.e",                                             "cannot be read"),
}
# fmt: on


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_id_tokens_are_compared_with_what_was_asked_for(keyrack: World, issuer: RawIssuer) -> None:
    consenting = Consenting(keyrack, issuer)
    for name, make in GOOD.items():
        assert await consenting.with_token(make) == ("completed", ""), name
    acme = keyrack.tenants["Acme"]
    for name, (make, why) in BAD.items():
        status, error = await consenting.with_token(make)
        assert status == "failed", name
        assert why in error, name
    listed = (await acme.integrator.get(f"/v2/workspaces/{acme.workspace_id}/secrets")).json()["data"]
    assert len(listed) == len(GOOD), "of what is refused nothing is stored"
    assert issuer.asked.count("/keys") == 1, "keys are kept"


async def test_a_key_that_is_new_is_fetched(keyrack: World, issuer: RawIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    consenting = Consenting(keyrack, issuer)
    assert await consenting.with_token(signed) == ("completed", "")
    new = RSAKey.generate_key(2048, {"kid": "new"})
    issuer.publish(new)
    monkeypatch.setattr(server_metadata, "NEWER", 0.0)
    assert await consenting.with_token(lambda claims: signed(claims, key=new)) == ("completed", "")
    status, error = await consenting.with_token(lambda claims: signed(claims, kid="nobody's"))
    assert status == "failed", error


async def test_an_id_token_is_judged_by_when_it_came(
    tmp_path: Path, issuer: RawIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = timedelta()
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, lambda: clock.now() + passed) as keyrack:
        consenting = Consenting(keyrack, issuer)
        for make, ends in ((signed, "completed"), (lambda c: signed(c | {"nonce": "another"}), "failed")):
            fail_once(monkeypatch, ConsentCompletion, "complete", DatabaseUnavailable)
            passed = timedelta()
            assert (await consenting.with_token(make))[0] == "pending", "the answer is kept before anything judges it"
            passed = timedelta(hours=2)  # the database comes back when the ID token has long expired
            assert await keyrack.services.refreshing.recovery.tick() == 1
            assert (await seen(keyrack, "Acme", consenting.consent_id))["status"] == ends


async def test_an_issuer_that_does_not_answer_keeps_nobody_from_connecting(keyrack: World, issuer: RawIssuer) -> None:
    issuer.answers["/.well-known/openid-configuration"] = json_answer("<html>", "503 Service Unavailable")
    consenting = Consenting(keyrack, issuer)
    assert await consenting.with_token(lambda c: signed(c, key=FOREIGN)) == ("completed", ""), "TLS vouches for it"
    status, error = await consenting.with_token(lambda c: signed(c | {"nonce": "another"}))
    assert (status, "nonce" in error) == ("failed", True), "the claims are compared all the same"


async def test_without_an_issuer_the_nonce_binds_the_code(keyrack: World, issuer: RawIssuer) -> None:
    consenting = Consenting(keyrack, issuer, known=False)
    assert await consenting.with_token(lambda c: signed(c | {"iss": "whoever"}, key=FOREIGN)) == ("completed", "")
    status, error = await consenting.with_token(lambda c: signed(c | {"nonce": "another"}))
    assert (status, "nonce" in error) == ("failed", True)
    assert set(issuer.asked) == {"/token"}


async def test_the_nonce_is_random_sealed_and_sent_only_with_openid(keyrack: World, issuer: RawIssuer) -> None:
    consenting = Consenting(keyrack, issuer)
    nonces = []
    for scopes in ("openid", "a,openid", "openid"):
        consent_id, asked = await consenting.begin(scopes)
        nonces.append(asked["nonce"])
        async with keyrack.store.unit(keyrack.tenants["Acme"].id) as unit:
            consent = await ConsentRows(unit).find(consent_id)
        assert consent is not None
        assert consent.status is ConsentStatus.pending
        assert asked["nonce"] not in repr(consent)
    assert len(set(nonces)) == 3
    assert all(len(nonce) >= 43 for nonce in nonces)
    files = [*keyrack.settings.home.glob("keyrack.sqlite3*")]
    assert not any(nonce.encode() in file.read_bytes() for file in files for nonce in nonces)
    _, asked = await consenting.begin("email openid2")
    assert "nonce" not in asked


async def test_a_real_server_gets_a_nonce_and_its_id_token_passes(
    keyrack: World, start_oidc_provider: Callable[[OidcOptions], OidcProvider]
) -> None:
    client = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="client_secret_post")
    provider = start_oidc_provider(OidcOptions(clients=(client,)))
    descriptor = oauth_component(
        provider.authorization_endpoint,
        provider.token_endpoint,
        scopes="openid offline_access",
        prompt="consent",
        issuer=provider.issuer,
    )
    acme = keyrack.tenants["Acme"]
    component_id = await keyrack.add_component(acme, "oidc", descriptor)
    await add_oauth_client(keyrack, "Acme", component_id, client.client_id, client.client_secret)
    consent = await connect(keyrack, acme.integrator, acme.workspace_id, component_id)
    assert consent["attributes"]["status"] == "completed", consent
