"""A damaged ciphertext costs its row, not the list (issue 9.5)."""

from typing import Any

import pytest
from sqlalchemy import update

from keyrack.store.schema import auth_clients, auth_secrets, credentials, oauth_clients
from support.app import World, relationship
from support.grants import add_auth_client, add_secret
from support.raw_provider import RawProvider

GARBAGE = [b"garbage", b"\x00" * 120]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_every_list_shows_the_others_and_says_what_is_wrong_with_the_damaged_one(
    keyrack: World, raw_provider: RawProvider, garbage: bytes
) -> None:
    acme = keyrack.tenants["Acme"]
    workspace = f"/v2/workspaces/{acme.workspace_id}"
    clients = [await add_auth_client(keyrack.store, acme.id, raw_provider.token_endpoint) for _ in range(2)]
    tokens = {"access_token": "at", "refresh_token": "rt"}
    secrets = [await add_secret(keyrack.store, acme, clients[0], tokens) for _ in range(2)]
    rows: dict[str, list[str]] = {"oauth": [], "credential": []}
    for number in range(2):
        component = await keyrack.add_component(acme, f"c{number}", {"title": "C", "credentials": {}, "actions": {}})
        data: dict[str, Any] = {
            "type": "oauth-client",
            "attributes": {"client_id": "id", "client_secret": "secret"},
            "relationships": {"component": relationship("component", component)},
        }
        made = await acme.admin.post(f"/v2/tenants/{acme.id}/oauth-clients", {"data": data})
        rows["oauth"].append(made.json()["data"]["id"])
        places = {
            "component": relationship("component", component),
            "workspace": relationship("workspace", acme.workspace_id),
        }
        data = {"type": "credential", "attributes": {"name": "N", "keys": {"a": "b"}}, "relationships": places}
        made = await acme.admin.post("/v2/credentials", {"data": data})
        rows["credential"].append(made.json()["data"]["id"])
    lists = {
        f"{workspace}/secrets": (secrets[0].id, secrets[1].id),
        f"/v2/auth-clients?tenant_id={acme.id}": (clients[1].id, clients[0].id),
        f"/v2/tenants/{acme.id}/oauth-clients": tuple(rows["oauth"]),
        f"/v2/credentials?workspace_id={acme.workspace_id}": tuple(rows["credential"]),
    }
    whole = {path: (await acme.admin.get(path)).json()["data"] for path in lists}
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        for table, column, damaged in (
            (auth_secrets, "sealed_credentials", secrets[0].id),
            (auth_clients, "sealed_credentials", clients[1].id),
            (oauth_clients, "sealed_client_secret", rows["oauth"][0]),
            (credentials, "sealed_keys", rows["credential"][0]),
        ):
            await unit.connection.execute(update(table).where(table.c.id == damaged).values({column: garbage}))

    told = {}
    for path, (damaged, good) in lists.items():
        answer = await acme.admin.get(path)
        assert answer.status_code == 200, answer.text
        shown, before = ({each["id"]: each for each in data} for data in (answer.json()["data"], whole[path]))
        assert shown[good] == before[good]
        assert shown[damaged]["attributes"]["error_code"] == "unreadable"
        kept = {"name", "type"} & set(before[damaged]["attributes"])
        assert {name: shown[damaged]["attributes"][name] for name in kept} == {
            name: before[damaged]["attributes"][name] for name in kept
        }
        told[path] = sorted(set(before[damaged]["attributes"]) - set(shown[damaged]["attributes"]))
    assert list(told.values()) == [["credentials"], ["credentials"], ["client_id", "client_secret"], ["keys"]]
    secret = next(
        each for each in (await acme.admin.get(f"{workspace}/secrets")).json()["data"] if each["id"] == secrets[0].id
    )
    assert (secret["attributes"]["state"], secret["attributes"]["error"]) == (
        "error",
        "The stored credentials cannot be decrypted.",
    )
    for path in (
        f"{workspace}/secrets/{secrets[0].id}",
        f"/v2/auth-clients/{clients[1].id}",
        f"/v2/tenants/{acme.id}/oauth-clients/{rows['oauth'][0]}",
        f"/v2/credentials/{rows['credential'][0]}",
    ):
        answer = await acme.admin.get(path)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "unreadable"), path
    assert len((await acme.guest.get(f"{workspace}/secrets")).json()["data"]) == 2


async def test_secrets_of_a_damaged_auth_client_are_listed(keyrack: World, raw_provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, raw_provider.token_endpoint)
    secret = await add_secret(keyrack.store, acme, client, {"access_token": "at", "refresh_token": "rt"})
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        mine = auth_clients.c.id == client.id
        await unit.connection.execute(update(auth_clients).where(mine).values(sealed_credentials=b"x"))
    listed = await acme.admin.get(f"/v2/workspaces/{acme.workspace_id}/secrets")
    assert [each["id"] for each in listed.json()["data"]] == [secret.id]
