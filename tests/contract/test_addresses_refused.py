"""What a tenant is told about an address that is not called: nothing about our network (contract 0.11, 19.4)."""

from pathlib import Path
from typing import Any

import pytest

from keyrack.provider.uri_guard import BAD_PORTS
from support.app import World, error_of, relationship, settings_for, world
from support.grants import add_auth_client, add_secret, stored
from support.loopback_peers import NameServer

TOKENS = {"access_token": "at", "refresh_token": "rt"}


async def test_internal_names_cannot_be_probed(tmp_path: Path, name_server: NameServer) -> None:
    name_server.knows |= {
        "db.corp.example": "10.1.2.3",
        "loop.corp.example": "127.0.0.1",
        "meta.example": "169.254.169.254",
    }
    name_server.deny()
    hosts = ["db.corp.example", "loop.corp.example", "meta.example", "nothing.corp.example", "10.1.2.3", "localhost"]
    async with world(settings_for(tmp_path, dns_servers=name_server.address)) as keyrack:
        acme = keyrack.tenants["Acme"]
        told = set()
        for host in hosts:
            client = await add_auth_client(keyrack.store, acme.id, f"https://{host}/token")
            secret = await add_secret(keyrack.store, acme, client, TOKENS, age=4000)
            path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}"
            refused = await acme.admin.post(f"{path}/refresh")
            assert refused.status_code == 400
            attributes = (await acme.admin.get(path)).json()["data"]["attributes"]
            kept = (await stored(keyrack.store, secret)).failure
            told.add(str((refused.json()["errors"], attributes["error"], attributes["error_code"], kept)))
        assert len(told) == 1, told
        assert "'reason': 'address'" in told.pop()


PORTS = sorted({22, 25, 110, 6667} & BAD_PORTS)


@pytest.mark.parametrize("port", PORTS)
async def test_other_protocols_ports_are_refused_wherever_an_address_is_stored(
    keyrack_to_read: World, port: int
) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    uri = f"https://idp.example:{port}/x"
    good = {
        "client_id": "a",
        "client_secret": "b",
        "auth_uri": "https://idp.example/a",
        "token_uri": "https://idp.example/t",
    }

    component_id = await keyrack_to_read.add_component(acme, f"port-{port}", None)

    def auth_client(**credentials: str) -> dict[str, Any]:
        attributes = {"name": "P", "type": "oauth2", "credentials": good | credentials}
        relationships = {
            "components": {"data": [{"id": component_id, "type": "component"}]},
            "tenant": relationship("tenant", acme.id),
        }
        return {"data": {"type": "auth-client", "attributes": attributes, "relationships": relationships}}

    for name in ("auth_uri", "token_uri", "refresh_token_uri", "revocation_uri"):
        answer = await acme.admin.post("/v2/auth-clients", auth_client(**{name: uri}))
        assert error_of(answer)[0] == 400, answer.text
        assert error_of(answer)[2] == f"/data/attributes/credentials/{name}"
    hook = {"data": {"type": "webhook", "attributes": {"url": uri}}}
    answer = await acme.admin.post(f"/v2/tenants/{acme.id}/webhooks", hook)
    assert error_of(answer)[0] == 400
    assert "another protocol" in answer.text


async def test_a_port_that_a_template_makes_is_refused_when_the_consent_starts(keyrack_to_read: World) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    descriptor = {
        "title": "Templated",
        "credentials": {
            "fields": {
                "oauth": {"label": "Authentication", "viewClass": "OAuthFieldView"},
                "host": {"label": "Host", "viewClass": "TextFieldView", "required": True},
            },
            "oauth2": {
                "client_id": "id",
                "client_secret": "secret",
                "auth_uri": "https://{{host}}/a",
                "token_uri": "https://{{host}}/t",
            },
        },
        "actions": {},
    }
    component_id = await keyrack_to_read.add_component(acme, "templated", descriptor)
    statuses = {}
    for host in ("idp.example", "idp.example:22"):
        data = {
            "type": "oauth-consent",
            "attributes": {"fields": {"host": host}},
            "relationships": {"component": relationship("component", component_id)},
        }
        answer = await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/oauth-consents", {"data": data})
        statuses[host] = answer.status_code
    assert statuses == {"idp.example": 201, "idp.example:22": 400}


async def test_an_address_that_a_setting_allows_is_refused_with_its_name_where_the_request_had_a_say(
    tmp_path: Path,
) -> None:
    """The world of the other tests allows them; this one is as an operator finds Keyrack."""
    fields = {"oauth": {"viewClass": "OAuthFieldView"}, "host": {"viewClass": "TextFieldView"}}
    block = {"client_id": "id", "client_secret": "secret", "token_uri": "https://idp.example/t"}
    own = {"clientId": "id", "clientSecret": "s", "authUri": "http://idp.example/a", "tokenUri": "https://127.0.0.1/t"}
    at = "/data/attributes/fields"
    http, private = "allow http, for trying out, with", "allow local and private ones with"
    cases: list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = [
        ({"auth_uri": "http://idp.example/a"}, {}, {"/data/relationships/component/data/id": f"auth_uri: {http}"}),
        ({"auth_uri": "https://{{host}}/a"}, {"host": "10.0.0.1"}, {f"{at}/host": f"auth_uri: {private}"}),
        (
            {},
            {"auth": {"type": "OAuth2", "oauth2": own}},
            {f"{at}/auth/oauth2/authUri": f"authUri: {http}", f"{at}/auth/oauth2/tokenUri": f"tokenUri: {private}"},
        ),
    ]
    async with world(settings_for(tmp_path)) as keyrack:
        acme = keyrack.tenants["Acme"]
        for number, (oauth2, values, expected) in enumerate(cases):
            inner = fields if oauth2 else {"auth": {"viewClass": "HTTPAuthView"}}
            descriptor = {"credentials": {"fields": inner, "oauth2": {**block, **oauth2}}}
            component_id = await keyrack.add_component(acme, f"refused-{number}", descriptor)
            data = {
                "type": "oauth-consent",
                "attributes": {"fields": values},
                "relationships": {"component": relationship("component", component_id)},
            }
            answer = await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/oauth-consents", {"data": data})
            assert answer.status_code == 400, answer.text
            found = {error["source"]["pointer"]: error["detail"] for error in answer.json()["errors"]}
            assert found.keys() == expected.keys()
            for pointer, words in expected.items():
                member, _, cure = words.partition(": ")
                assert found[pointer].startswith(f"{member}: "), found
                assert found[pointer].endswith(f"{cure} KEYRACK_ALLOW_INSECURE_PROVIDERS."), found
                assert "10.0.0.1" not in answer.text
