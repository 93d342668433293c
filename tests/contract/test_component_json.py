"""component.json as a consent reads it: contract 19.1 to 19.4 and 0.8; rules 24.11, 24.13, 24.14, 24.29.

Each row is a descriptor of a component that Acme owns; the consent runs in Acme, without an OAuth client unless it
says so, or in Globex with Globex's client. The parser and the templates have their own tests in
`tests/unit/descriptor`.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from keyrack.ids import new_id
from support.app import World
from support.consent import add_oauth_client, query_of, start
from support.documents import faults

ENV = {"K": "acme-key", "S": "acme-secret", "HOST": "eu", "EMPTY": ""}
FIELDS = "/data/attributes/fields"
SELECT: dict[str, Any] = {"prodEnv": {"viewClass": "SelectView", "model": {"login": "Production", "test": "Sandbox"}}}
FREE: dict[str, Any] = {"prodEnv": {"viewClass": "TextFieldView"}}
ENVIRONMENT = "https://{{prodEnv}}.example.com/auth"


def block(auth_uri: str = "https://login.example.com/auth", **more: Any) -> dict[str, Any]:
    keys = {"client_id": "{{K}}", "client_secret": "{{S}}"}
    return {**keys, "auth_uri": auth_uri, "token_uri": "https://login.example.com/token", **more}


def component_json(inner: dict[str, Any], fields: dict[str, Any] | None = None, /, **top: Any) -> dict[str, Any]:
    oauth = {"oauth": {"viewClass": "OAuthFieldView"}}
    return {"credentials": {"fields": oauth | (fields or {}), "oauth2": inner}, **top}


@dataclass(frozen=True)
class Row:
    """A descriptor, the user's field values, and what comes of them."""

    descriptor: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)
    address: str | None = None
    """How the authorization URL begins."""
    query: dict[str, str] = field(default_factory=dict)
    """What its query has, among others."""
    faults: set[str] | None = None
    """What the errors point at, or the variables that their details name; the status is 400."""
    globex: bool = False
    """Whether it runs in Globex, with Globex's client."""


ASKS: dict[str, Any] = {"useOAuthClient": True}
ROWS = {
    # 19.1: where members may stand
    "19.1 oauth2 in credentials": Row(component_json(block()), query={"client_id": "acme-key"}),
    "19.1 oauth2 at top level": Row(component_json({}, oauth2=block()), query={"client_id": "acme-key"}),
    "19.1 members of credentials win": Row(
        component_json({"client_id": "inner"}, oauth2=block()), query={"client_id": "inner"}
    ),
    "19.1 useOAuthClient in credentials": Row(
        {"credentials": component_json(block())["credentials"] | ASKS}, query={"client_id": "globex-id"}, globex=True
    ),
    # 19.2: members
    "19.2 scopes are joined with a space": Row(component_json(block(scopes=["a", "b"])), query={"scope": "a b"}),
    "19.2 a text of scopes is sent verbatim": Row(component_json(block(scopes="a,b")), query={"scope": "a,b"}),
    "19.2 scope is scopes by its other name": Row(component_json(block(scope="a b")), query={"scope": "a b"}),
    "19.2 an array is joined with spaces": Row(
        component_json(block(prompt=["login", "consent"], resource=["https://a.example"])),
        query={"prompt": "login consent", "resource": "https://a.example"},
    ),
    "19.2 anything else is a parameter": Row(
        component_json(block(access_type="offline", n=1, b=False)),
        query={"access_type": "offline", "n": "1", "b": "false"},
    ),
    "19.2 but not ours": Row(
        component_json(block(response_type="token", redirect_uri="https://evil.example", state="x")),
        query={"response_type": "code"},
    ),
    "19.2 own query parameters are kept": Row(  # 24.29
        component_json(block("https://login.example.com/auth?resource=a%2Fb")),
        address="https://login.example.com/auth?resource=a%2Fb&",
    ),
    "19.2 the client wins over a literal": Row(
        component_json(block(client_id="literal", client_secret=""), **ASKS),
        query={"client_id": "globex-id"},
        globex=True,
    ),
    "19.2 no auth_uri": Row(component_json({**block(), "auth_uri": ""}), faults={"auth_uri"}),
    # 19.4: templates
    "19.4 spaces inside the braces": Row(
        component_json(block("https://{{ HOST }}.example.com/auth")), address="https://eu.example.com/auth?"
    ),
    "19.4 a field's value": Row(  # 24.13
        component_json(block(ENVIRONMENT), SELECT), {"prodEnv": "test"}, address="https://test.example.com/auth?"
    ),
    "19.4 fields win over variables": Row(
        component_json(block("https://{{HOST}}.example.com/auth"), {"HOST": {"viewClass": "TextFieldView"}}),
        {"HOST": "mine"},
        address="https://mine.example.com/auth?",
    ),
    "19.4 the client wins over fields": Row(
        component_json(block(client_id="{{K}}", hint="{{OAUTH_CLIENT_ID}}"), {"K": FREE["prodEnv"]}, **ASKS),
        {"K": "mine"},
        query={"client_id": "globex-id", "hint": "globex-id"},
        globex=True,
    ),
    "19.4 nothing is escaped": Row(  # 24.14
        component_json(block(extra="{{prodEnv}}"), FREE), {"prodEnv": "a&b<c>"}, query={"extra": "a&b<c>"}
    ),
    "19.4 no nesting": Row(
        component_json(block(extra="{{prodEnv}}"), FREE), {"prodEnv": "{{S}}"}, query={"extra": "{{S}}"}
    ),
    "19.4 an unknown one elsewhere is empty": Row(component_json(block(extra="x{{NONE}}")), query={"extra": "x"}),
    "19.4 in a URI it fails": Row(component_json(block("https://{{NONE}}.example.com/a")), faults={"NONE"}),
    "19.4 an empty one too": Row(component_json(block("https://{{EMPTY}}.example.com/a")), faults={"EMPTY"}),
    "19.4 and in the client's id": Row(component_json(block(client_id="{{NONE}}")), faults={"NONE"}),
    "19.4 a select outside its model": Row(
        component_json(block(ENVIRONMENT), SELECT), {"prodEnv": "evil"}, faults={f"{FIELDS}/prodEnv"}
    ),
    "19.4 a placeholder that starts the URI": Row(
        component_json(block("{{prodEnv}}/auth"), FREE),
        {"prodEnv": "https://own.example.com"},
        address="https://own.example.com/auth?",
    ),
    "19.4 must be an absolute URL": Row(
        component_json(block("{{prodEnv}}/auth"), FREE), {"prodEnv": "own.example.com"}, faults={f"{FIELDS}/prodEnv"}
    ),
    **{
        f"19.4 {hostile!r} in a host": Row(
            component_json(block(ENVIRONMENT), FREE), {"prodEnv": hostile}, faults={f"{FIELDS}/prodEnv"}
        )
        for hostile in ("evil.example/", "a\\b", "a?b", "a#b", "me@evil", "a:1", "a%2f", "a b", "a\tb")
    },
    # 0.8: variables
    "0.8 a required one that no template names": Row(
        component_json(block(), envVars={"UNSET": {"required": True}}), query={"client_id": "acme-key"}
    ),
    "0.8 a required one that a template names": Row(
        component_json(block(extra="{{UNSET}}"), envVars={"UNSET": {"required": True}}), faults={"UNSET"}
    ),
    "0.8 the alias env, as an array": Row(
        component_json(block(extra="{{UNSET}}"), env=["UNSET"]), query={"client_id": "acme-key"}
    ),
    "0.8 another tenant sees the rest": Row(  # 24.11: and its own client
        component_json(block("https://{{HOST}}.example.com/auth"), **ASKS),
        address="https://eu.example.com/auth?",
        query={"client_id": "globex-id"},
        globex=True,
    ),
    # 19.3: the first generation's own client in a field
    "19.3 HTTPAuthView brings its own client": Row(
        {"credentials": {"fields": {"auth": {"viewClass": "HTTPAuthView"}}}},
        {
            "auth": {
                "type": "OAuth2",
                "oauth2": {
                    "clientId": "own",
                    "clientSecret": "s",
                    "authUri": "https://own.example.com/auth",
                    "tokenUri": "https://own.example.com/token",
                    "scopes": "a, b",
                    "additionalProperties": {"audience": "x"},
                },
            }
        },
        address="https://own.example.com/auth?",
        query={"client_id": "own", "scope": "a b", "audience": "x"},
    ),
    "19.3 HTTPAuthView with another type": Row(
        {"credentials": {"fields": {"auth": {"viewClass": "HTTPAuthView"}}}},
        {"auth": {"type": "No Auth"}},
        faults={f"{FIELDS}/auth/type"},
    ),
}


@pytest.mark.parametrize("row", list(ROWS.values()), ids=list(ROWS))
async def test_component_json(keyrack_to_read: World, row: Row) -> None:
    world = keyrack_to_read
    acme, runs_in = world.tenants["Acme"], world.tenants["Globex" if row.globex else "Acme"]
    component = await world.add_component(acme, f"row-{new_id()}", row.descriptor, access="global")
    body = {"data": {"type": "component-env", "attributes": {"vars": ENV}}}
    assert (await acme.admin.put(f"/v2/components/{component}/env", body)).status_code == 200
    if row.globex:
        await add_oauth_client(world, "Globex", component, "globex-id", "globex-secret")
    answer = await start(runs_in.integrator, runs_in.workspace_id, component, fields=row.fields)
    if row.faults is None:
        assert answer.status_code == 201, answer.text
        address = answer.json()["data"]["attributes"]["authorization_url"]
        assert address.startswith(row.address or "https://")
        query = query_of(address)
        assert {name: query.get(name) for name in row.query} == row.query
        assert "acme-secret" not in address
    else:
        assert answer.status_code == 400, answer.text
        assert {error["code"] for error in answer.json()["errors"]} == {"validation_error"}
        if any(fault.startswith("/") for fault in row.faults):
            assert faults(answer) == row.faults
        else:
            said = " ".join(error["detail"] for error in answer.json()["errors"])
            assert all(name in said for name in row.faults), said
