"""Odd but valid addresses of a provider are used as they are stored, from consent to revocation (contract 24.29)."""

from urllib.parse import parse_qs, urlsplit

from keyrack.clock import now
from keyrack.crypto.secret import Secret
from keyrack.descriptor.uri import render_uri
from keyrack.oauth import oauth1
from keyrack.oauth.profile import ClientProfile
from support.app import World, relationship
from support.raw_provider import RawProvider, json_answer

ODD = "/a%2Fb/%2D;v=1/t?tenant=%2Fx&a[b]=[c]&&d=/e?f"


async def test_every_address_of_an_auth_client(keyrack: World, raw_provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    raw_provider.answers = [json_answer('{"access_token": "at", "refresh_token": "rt", "expires_in": 3600}')]
    names = ("auth_uri", "token_uri", "refresh_token_uri", "revocation_uri")
    targets = {name: ODD.replace("/t?", f"/{name}?") for name in names}
    descriptor = {"title": "Odd", "authClientTypes": ["oauth2"], "credentials": {}, "actions": {}}
    component_id = await keyrack.add_component(acme, "odd", descriptor)
    attributes = {
        "name": "Odd",
        "type": "oauth2",
        "credentials": {"client_id": "id", "client_secret": "secret"}
        | {name: raw_provider.url + target for name, target in targets.items()},
    }
    relationships = {
        "components": {"data": [{"id": component_id, "type": "component"}]},
        "tenant": relationship("tenant", acme.id),
    }
    data = {"type": "auth-client", "attributes": attributes, "relationships": relationships}
    client = await acme.admin.post("/v2/auth-clients", {"data": data})
    assert client.status_code == 201, client.text

    workspace = f"/v2/workspaces/{acme.workspace_id}"
    data = {
        "type": "oauth-consent",
        "relationships": {"auth_client": relationship("auth-client", client.json()["data"]["id"])},
    }
    consent = (await acme.admin.post(f"{workspace}/oauth-consents", {"data": data})).json()["data"]
    url = consent["attributes"]["authorization_url"]
    assert url.startswith(f"{raw_provider.url}{targets['auth_uri']}&response_type=code&")

    state = parse_qs(urlsplit(url).query)["state"][0]
    assert (await keyrack.http.get(f"/callback/oauth2?code=c&state={state}")).status_code == 200
    consent = (await acme.admin.get(f"{workspace}/oauth-consents/{consent['id']}")).json()["data"]
    secret = f"{workspace}/secrets/{consent['relationships']['auth_secret']['data']['id']}"
    assert (await acme.admin.post(f"{secret}/refresh")).status_code == 200
    assert (await acme.admin.delete(secret)).status_code == 204
    while await keyrack.services.revoker.tick():
        pass
    asked = [request.split(b" ", 2)[1].decode() for request in raw_provider.requests]
    assert list(dict.fromkeys(asked)) == [targets[name] for name in names[1:]]


def test_a_descriptor_s_template_keeps_its_spelling() -> None:
    template = "https://{{host}}/a%2Fb/%2D?a[b]={{value}}&&c=%2F"
    uri = render_uri(template, {"host": "idp.example", "value": "%2Fx[1]"})
    assert uri == "https://idp.example/a%2Fb/%2D?a[b]=%2Fx[1]&&c=%2F"


def test_oauth1_signs_an_odd_address_as_it_is_sent() -> None:
    def request(endpoint: str) -> tuple[str, str]:
        profile = ClientProfile("id", Secret("s"), endpoint, endpoint, temporary_credentials_endpoint=endpoint)
        made = oauth1.build_temporary_request(profile, callback="https://k.example/cb", at=now(), nonce="n")
        assert made.authorization is not None
        return made.url, made.authorization.reveal().partition("oauth_signature=")[2]

    raw, signed = request("https://idp.example/a%2Fb?a[b]=%2Fx")
    assert raw == "https://idp.example/a%2Fb?a[b]=%2Fx"
    # The parameters are signed decoded (RFC 5849 section 3.4.1.3), the path as it stands.
    assert (
        signed == request("https://idp.example/a%2Fb?a%5Bb%5D=/x")[1] != request("https://idp.example/a/b?a[b]=/x")[1]
    )
