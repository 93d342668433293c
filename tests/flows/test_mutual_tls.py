"""Clients that show a certificate instead of sending a secret, at oidc-provider over TLS (RFC 8705)."""

import json
import ssl
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwk

from keyrack.clock import iso
from support.app import World
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.certificates import Pair, self_signed
from support.consent import CALLBACK
from support.profiled_clients import add_profiled_client, connected, profiled_client
from support.raw_provider import RawProvider, json_answer

Start = Callable[[OidcOptions], OidcProvider]
NAME = "keyrack.client.example"


def profile_with(method: str, provider: OidcProvider | None = None, **more: Any) -> dict[str, Any]:
    base = "https://as.example" if provider is None else provider.issuer
    endpoints = {
        "authorization": f"{base}/auth",
        "token": f"{base}/token",
        "revocation": f"{base}/token/revocation",
        "userinfo": f"{base}/me",
    }
    return {
        "name": "certified",
        "endpoints": endpoints,
        "authorization": {"parameters": {"prompt": "consent"}},
        "scopes": {"default": ["openid", "offline_access", "email"]},
        "client_authentication": {"method": method},
        **more,
    }


def issued(authority: trustme.CA) -> Pair:
    made = authority.issue_cert(NAME)
    return Pair("".join(each.bytes().decode() for each in made.cert_chain_pems), made.private_key_pem.bytes().decode())


def published(pair: Pair) -> dict[str, Any]:
    """Return the JWK set by which a server knows a certificate that signs itself."""
    found = x509.load_pem_x509_certificate(pair.chain.encode())
    key = jwk.import_key(pair.key, "EC").as_dict(private=False)
    return {"keys": [{**key, "x5c": [b64encode(found.public_bytes(Encoding.DER)).decode()]}]}


async def test_a_certificate_stands_for_the_secret(
    keyrack: World, start_oidc_provider: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, own = trustme.CA(), self_signed("self")
    server, by_authority = authority.issue_cert("127.0.0.1"), issued(authority)
    ca = authority.cert_pem.bytes().decode()
    file = tmp_path / "ca.pem"
    file.write_text(ca)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    trusted = ssl.create_default_context(cadata=ca)
    clients: dict[str, tuple[dict[str, Any], Pair]] = {
        "tls_client_auth": ({"tls_client_auth_san_dns": NAME}, by_authority),
        "self_signed_tls_client_auth": ({"jwks": published(own)}, own),
    }
    registered = tuple(
        RegisteredClient(client_id=method, redirect_uris=(CALLBACK,), token_endpoint_auth_method=method, more=more)
        for method, (more, _) in clients.items()
    )
    tls = {"key": server.private_key_pem.bytes().decode(), "cert": server.cert_chain_pems[0].bytes().decode(), "ca": ca}
    provider = start_oidc_provider(OidcOptions(clients=registered, tls=tls))
    acme = keyrack.tenants["Acme"]
    for method, (_, pair) in clients.items():
        profile = profile_with(method, provider)
        client_id = await profiled_client(keyrack, profile, client_id=method, **pair.members)
        path = await connected(keyrack, client_id, trusted=trusted)
        first = (await acme.integrator.get(path)).json()["data"]["attributes"]
        assert first["account_label"] == "person@example.com", method
        renewed = await acme.integrator.post(f"{path}/refresh")
        assert renewed.status_code == 200, (method, renewed.text)
        assert (
            renewed.json()["data"]["attributes"]["credentials"]["access_token"]
            != (first["credentials"]["access_token"])
        )
        assert (await acme.integrator.delete(path)).status_code == 204
        await keyrack.services.revoker.tick()
        events = await acme.admin.get(f"/v2/tenants/{acme.id}/events?filter[type]=secret.revoked")
        told = {
            each["attributes"]["data"]["auth_client_id"]: each["attributes"]["data"] for each in events.json()["data"]
        }
        assert told[client_id]["outcome"] == "revoked", method
    other = issued(trustme.CA())
    stranger = await profiled_client(
        keyrack, profile_with("tls_client_auth", provider), client_id="tls_client_auth", **other.members
    )
    begun = await acme.integrator.post(
        f"/v2/workspaces/{acme.workspace_id}/secrets",
        {
            "data": {
                "type": "auth-secret",
                "attributes": {"name": "S", "credentials": {"access_token": "a", "refresh_token": "r"}},
                "relationships": {"auth_client": {"data": {"type": "auth-client", "id": stranger}}},
            }
        },
    )
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{begun.json()['data']['id']}"
    refused = await acme.integrator.post(f"{path}/refresh")
    assert refused.json()["errors"][0]["meta"]["error"] == "invalid_client", refused.text


async def test_a_certificates_end_is_told_like_a_secrets_and_renewed_with_it(keyrack: World) -> None:
    admin, pair, next_ = keyrack.tenants["Acme"].admin, self_signed("a", days=20), self_signed("b", days=200)
    client_id = await profiled_client(
        keyrack, profile_with("self_signed_tls_client_auth"), client_id="c", **pair.members
    )
    path = f"/v2/auth-clients/{client_id}"
    assert (await admin.get(path)).json()["data"]["attributes"]["secret_expires_at"] == iso(pair.end)

    async def change(credentials: dict[str, str], **more: Any) -> Any:
        attributes = {"credentials": credentials, **more}
        return await admin.patch(path, {"data": {"type": "auth-client", "id": client_id, "attributes": attributes}})

    (error,) = (await change({"certificate": next_.chain})).json()["errors"]
    assert error["source"]["pointer"] == "/data/attributes/credentials/certificate_key"
    assert error["detail"] == "is not the key of the certificate"
    changed = await change(next_.members)
    assert changed.status_code == 200, changed.text
    assert changed.json()["data"]["attributes"]["secret_expires_at"] == iso(next_.end)
    sooner = await change(pair.members, secret_expires_at="2099-01-01T00:00:00Z")
    assert sooner.json()["data"]["attributes"]["secret_expires_at"] == "2099-01-01T00:00:00.000Z", "what is said counts"


@pytest.mark.parametrize(
    ("method", "credentials", "member", "detail"),
    [
        ("tls_client_auth", {}, "certificate", "certificate is required"),
        ("tls_client_auth", {"certificate": "x"}, "certificate", "is no chain of 1 to 10 certificates in PEM"),
        ("tls_client_auth", self_signed("a", days=0, begins=-2).members, "certificate", "ended at"),
        ("tls_client_auth", self_signed("a", begins=2).members, "certificate", "is not valid before"),
        (
            "tls_client_auth",
            self_signed("a").members | {"certificate_key": self_signed("b").key},
            "certificate_key",
            "is not the key of the certificate",
        ),
        (
            "tls_client_auth",
            self_signed("a", passphrase="p").members,
            "certificate_key",
            "is no private key in PEM without a passphrase",
        ),
        ("client_secret_post", {"client_secret": "s"} | self_signed("a").members, "certificate", "is not asked for"),
    ],
)
async def test_a_certificate_that_could_not_be_shown_is_refused(
    keyrack: World, method: str, credentials: dict[str, str], member: str, detail: str
) -> None:
    refused = await add_profiled_client(keyrack, profile_with(method), client_id="c", **credentials)
    assert refused.status_code == 400
    error = refused.json()["errors"][0]
    assert error["source"]["pointer"] == f"/data/attributes/credentials/{member}"
    assert error["detail"].startswith(detail)
    assert "PRIVATE KEY" not in refused.text


async def test_addresses_for_certificates_are_those_that_the_issuer_names(
    keyrack: World, raw_provider: RawProvider
) -> None:
    issuer = raw_provider.url
    metadata = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "mtls_endpoint_aliases": {"token_endpoint": f"{issuer}/mtls/token", "revocation_endpoint": 7},
    }
    raw_provider.answers = [json_answer(json.dumps(metadata))]
    for said, token in (
        ({"method": "tls_client_auth"}, "/mtls/token"),
        ({"method": "client_secret_post", "mutual_tls": True}, "/mtls/token"),
        ({"method": "client_secret_post"}, "/token"),
    ):
        profile = {"name": "found", "endpoints": {"issuer": issuer}, "client_authentication": said}
        given = self_signed("a").members if "mtls" in token else {}
        given |= {} if said["method"] == "tls_client_auth" else {"client_secret": "s"}
        client_id = await profiled_client(keyrack, profile, client_id="c", **given)
        found = await keyrack.tenants["Acme"].admin.get(f"/v2/auth-clients/{client_id}")
        assert found.json()["data"]["attributes"]["credentials"]["token_uri"] == f"{issuer}{token}", said
