"""Builds and descriptors: contract 13.2, 13.1 and 0.9; section 22 for their deletion."""

from typing import Any

import pytest

from keyrack.descriptor.lint import lint
from keyrack.ids import new_id
from support.app import World, error_of
from support.components import build, created
from support.consent import start
from support.documents import ids
from support.flows import flow_body


async def test_an_empty_descriptor_still_has_the_members_of_the_skeleton(keyrack: World) -> None:  # 13.1
    component = await created(keyrack, "bare")
    assert (await build(keyrack, component, {})).status_code == 201
    answer = await keyrack.tenants["Acme"].admin.get(f"/v2/components/{component}/versions/latest/descriptor")
    members = {"repo_name", "team_name", "short_revision", "is_latest", "language", "sailor_version", "title"}
    assert set(answer.json()["data"]["attributes"]) == members


async def test_builds_count_up_and_the_newest_left_is_latest(keyrack: World) -> None:  # 13.2
    acme, component = keyrack.tenants["Acme"], await created(keyrack, "pizza-van")
    path = f"/v2/components/{component}/versions"
    revisions = [(await build(keyrack, component, {"title": str(n)})).json()["data"]["id"] for n in range(3)]
    again = await build(keyrack, component, {}, revisions[0])
    assert error_of(again) == (409, "already_exists", "/data/attributes/revision")
    assert ids(await acme.admin.get(path)) == revisions
    assert (await acme.admin.delete(f"{path}/latest")).status_code == 204
    old = (await acme.admin.get(f"{path}/{revisions[0]}/descriptor")).json()["data"]["attributes"]
    assert (old["title"], old["is_latest"]) == ("0", False)
    latest = (await acme.admin.get(f"{path}/latest/descriptor")).json()["data"]
    assert (latest["id"], latest["attributes"]["title"]) == (revisions[1], "1")
    assert error_of(await acme.admin.delete(f"{path}/{revisions[2]}"))[:2] == (404, "not_found")
    added = await build(keyrack, component, {})
    assert added.json()["data"]["attributes"]["version_number"] == 4, "a number is never given twice"
    paged = (await acme.admin.get(f"{path}?page[size]=1")).json()
    assert paged["meta"] == {"page": 1, "per_page": 1, "total": 3, "total_pages": 3}


async def test_a_build_in_use_cannot_be_deleted(keyrack: World) -> None:  # 13.2, section 22
    acme, component = keyrack.tenants["Acme"], await created(keyrack, "pizza-van")
    for title in ("old", "new"):
        await build(keyrack, component, {"title": title, "actions": {"run": {}}})
    old, new = ids(await acme.admin.get(f"/v2/components/{component}/versions"))
    body = flow_body(acme.workspace_id, f"acme/pizza-van:run@{old}")
    flow = (await acme.integrator.post("/v2/flows", body)).json()["data"]["id"]
    refused = await acme.admin.delete(f"/v2/components/{component}/versions/{old}")
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"] == {"flow_ids": [flow], "flows": 1}
    assert (await acme.admin.delete(f"/v2/components/{component}/versions/{new}")).status_code == 204


def connecting(**oauth2: Any) -> dict[str, Any]:
    """Return a descriptor with which accounts can be connected, but for the given members of its block."""
    uris = {"auth_uri": "https://idp.example/a", "token_uri": "https://idp.example/t"}
    block = {"client_id": "{{K}}", "client_secret": "{{S}}", **uris, **oauth2}
    return {
        "useOAuthClient": True,
        "envVars": {"K": {}, "S": {}, "EU": {}},
        "credentials": {"fields": {"o": {"viewClass": "OAuthFieldView"}}, "oauth2": block},
    }


# fmt: off
DESCRIPTORS: list[tuple[str, Any, tuple[int, str | None]]] = [
    # section, descriptor,                                        status, pointer below /data/attributes/descriptor
    ("0.9",  {"credentials": {"fields": {"a": {}}}},              (201, None)),         # label may be missing
    ("0.9",  {"credentials": {"fields": {"a": {"viewClass": "SelectView", "model": ["x"]}}}}, (201, None)),
    ("0.9",  {"actions": {}},                                     (201, None)),
    ("0.9",  {"whatever": [1, {"deep": None}]},                   (201, None)),         # kept untouched
    ("0.9",  {"useOAuthClient": "yes"},                           (400, "/useOAuthClient")),
    ("0.9",  {"credentials": []},                                 (400, "/credentials")),
    ("0.9",  {"credentials": {"oauth2": {"auth_uri": 1}}},        (400, "/credentials/oauth2/auth_uri")),
    ("0.9",  {"credentials": {"fields": {"a": {"model": 1}}}},    (400, "/credentials/fields/a/model")),
    ("19.2", {"oauth2": {"prompt": ["login"], "claims": {"userinfo": {}}}}, (201, None)),
    ("19.2", {"oauth2": {"headers": {"a": "b"}}},                 (400, "/oauth2/headers")),  # would be left out
    ("19.2", {"credentials": {"oauth2": {"scope": 5}}},           (400, "/credentials/oauth2/scope")),
    ("0.9",  {"authClientTypes": "oauth2"},                       (400, "/authClientTypes")),
    ("0.9",  {"envVars": ["K"]},                                  (400, "/envVars")),
    ("0.9",  {"env": ["K"]},                                      (201, None)),         # the older alias
    ("19.2", {"oauth2": {"client_auth": "jwt"}},                  (400, "/oauth2/client_auth")),
    ("19.2", connecting(token_uri=None),                          (400, "/credentials/oauth2/token_uri")),
    ("19.2", connecting(auth_uri=""),                             (400, "/credentials/oauth2/auth_uri")),
    ("19.4", connecting(auth_uri="log in here"),                  (400, "/credentials/oauth2/auth_uri")),
    ("19.4", connecting(token_uri="ftp://idp.example/t"),         (400, "/credentials/oauth2/token_uri")),
    ("19.4", connecting(token_uri="https://{{EU}}.idp.example/t"), (201, None)),
]
"""0.9: descriptors are taken as real ones are; refused are wrong JSON types of members that we read, and in a new build
what could never work (decision 6)."""
# fmt: on


@pytest.mark.parametrize(("section", "descriptor", "expected"), DESCRIPTORS)
async def test_descriptors(
    keyrack_to_read: World, section: str, descriptor: Any, expected: tuple[int, str | None]
) -> None:
    name = f"descriptor-{new_id()}"
    component = await created(keyrack_to_read, name)
    answer = await build(keyrack_to_read, component, descriptor)
    assert answer.status_code == expected[0], f"section {section}: {answer.text}"
    if expected[1] is not None:
        assert error_of(answer)[1:] == ("validation_error", f"/data/attributes/descriptor{expected[1]}")


@pytest.mark.parametrize("revision", ["", "0" * 39, "0" * 41, "G" * 40, "0" * 40 + "\n", 5])
async def test_a_revision_is_40_hex_characters(keyrack_to_read: World, revision: Any) -> None:  # 1
    component = await created(keyrack_to_read, f"revision-{new_id()}")
    answer = await build(keyrack_to_read, component, {}, revision)
    assert error_of(answer) == (400, "validation_error", "/data/attributes/revision")


async def test_what_looks_wrong_is_told_with_the_build(keyrack_to_read: World) -> None:
    component = await created(keyrack_to_read, f"warned-{new_id()}")
    right = await build(keyrack_to_read, component, connecting())
    assert (right.status_code, right.json()["meta"]) == (201, {})
    odd = connecting(client_id="") | {"useOauthClient": True}
    answer = await build(keyrack_to_read, component, odd)
    assert answer.status_code == 201, answer.text
    warnings = answer.json()["meta"]["warnings"]
    assert {warning["source"]["pointer"]: sorted(warning) for warning in warnings} == {
        "/data/attributes/descriptor/useOauthClient": ["detail", "source"],
        "/data/attributes/descriptor/credentials/oauth2/client_id": ["detail", "source"],
    }
    assert "useOAuthClient is probably meant" in warnings[0]["detail"]
    assert "{{NAME}}" in warnings[1]["detail"]


async def test_what_the_linter_says_the_api_says_too(keyrack_to_read: World) -> None:
    component = await created(keyrack_to_read, f"linted-{new_id()}")
    base = "/data/attributes/descriptor"
    for descriptor in (
        connecting(),
        connecting(token_uri=None, client_id=""),
        connecting(client_secret=""),
        {},
        {"a": 1},
    ):
        found, answer = lint(descriptor), await build(keyrack_to_read, component, descriptor)
        told = answer.json()["errors"] if found.errors else answer.json()["meta"].get("warnings", [])
        expected = [(each.detail, f"{base}{each.pointer}") for each in found.errors or found.warnings]
        assert [(each["detail"], each["source"]["pointer"]) for each in told] == expected
        assert answer.status_code == (400 if found.errors else 201)


async def test_a_stored_build_that_would_be_refused_now_goes_on_working(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    old = connecting(client_auth="jwt") | {"envVars": ["K", "S"]}
    stored = await keyrack.add_component(acme, "from-before", old)
    path = f"/v2/components/{stored}"
    variables = {"data": {"type": "component-env", "attributes": {"vars": {"K": "key", "S": "secret"}}}}
    assert (await acme.admin.put(f"{path}/env", variables)).status_code == 200
    shown = await acme.admin.get(f"{path}/versions/latest/descriptor")
    assert shown.json()["data"]["attributes"]["envVars"] == ["K", "S"]
    started = await start(acme.integrator, acme.workspace_id, stored)
    assert started.status_code == 201, started.text
    body = {"data": {"type": "version", "attributes": {"descriptor": old}}}
    again = await acme.admin.post(f"{path}/versions", body)
    assert {error["source"]["pointer"] for error in again.json()["errors"]} == {
        "/data/attributes/descriptor/envVars",
        "/data/attributes/descriptor/credentials/oauth2/client_auth",
    }
