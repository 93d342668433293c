"""Members that nobody may set, sent along with those that one may: as if they were not there (issue 15.6)."""

from typing import Any

import pytest
from sqlalchemy import Boolean, Table, select

from keyrack.store import schema
from support.app import TenantInTest, World, relationship

COMMON = {
    "id": "0" * 24, "tenant": "x", "is_admin": True, "admin": True, "role": "owner", "permissions": ["x"],
    "tenant_roles": ["tenant-admin"], "status": "active", "verified": True, "owner": "x", "__class__": "x",
    "$set": {"a": 1}, "api_key": "kr_x", "key_hash": "0" * 64, "access": "global", "is_default": True,
    "created_by": "x",
}  # fmt: skip
DIFFERS = {
    "id", "name", "name_key", "email", "email_key", "created_at", "registered", "url", "password_hash", "updated_at",
}  # fmt: skip
"""Columns in which two rows differ that were made one after the other."""


def bodies(acme: TenantInTest, name: str) -> dict[str, tuple[str, str, Table, dict[str, Any], dict[str, Any]]]:
    """Return path, type, table, attributes and relationships of what an admin can create."""
    contract, team = relationship("contract", acme.contract_id), relationship("team", acme.team_id)
    hook = f"/v2/tenants/{acme.id}/webhooks"
    person = {"email": f"{name}@acme.example", "first_name": "F", "last_name": "L", "password": "quite a long one 42"}
    place = {"name": name, "type": "full"}
    return {
        "team": ("/v2/teams", "team", schema.teams, {"name": name}, {"contract": contract}),
        "workspace": ("/v2/workspaces", "workspace", schema.workspaces, place, {"contract": contract}),
        "component": ("/v2/components", "component", schema.components, {"name": name}, {"team": team}),
        "webhook": (hook, "webhook", schema.webhooks, {"url": f"https://hooks.example/{name}"}, {}),
        "user": ("/v2/users", "user", schema.users, person, {}),
    }


def hostile(table: Table, globex: TenantInTest) -> dict[str, Any]:
    """Return a value for every column of a table, as another tenant would like it."""
    theirs = {
        "tenant_id": globex.id, "contract_id": globex.contract_id, "workspace_id": globex.workspace_id,
        "team_id": globex.team_id, "user_id": globex.admin.id, "owner_id": globex.admin.id,
    }  # fmt: skip
    columns = {
        column.name: theirs.get(column.name, True if isinstance(column.type, Boolean) else "evil")
        for column in table.columns
    }
    return COMMON | columns


async def row_of(keyrack: World, table: Table, row_id: str) -> dict[str, Any]:
    async with keyrack.store.installation() as unit:
        (row,) = (await unit.connection.execute(select(table).where(table.c.id == row_id))).all()
    return {column.name: getattr(row, column.name) for column in table.columns}


@pytest.mark.parametrize("kind", ["team", "workspace", "component", "webhook", "user"])
async def test_what_nobody_may_set_is_not_set(keyrack: World, kind: str) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    rows = []
    for name in ("plain", "loaded"):
        path, kind_of, table, attributes, related = bodies(acme, name)[kind]
        data: dict[str, Any] = {"type": kind_of, "attributes": attributes, "relationships": related}
        if name == "loaded":
            more = hostile(table, globex)
            data["attributes"] = {key: value for key, value in more.items() if key not in attributes} | attributes
            data |= {"meta": more, "links": {"self": "https://evil.example"}, "tenant_id": globex.id}
            data["relationships"] = related | {"tenant": relationship("tenant", globex.id)}
        made = await acme.admin.post(path, {"data": data})
        if made.status_code == 400:  # some of it is a member with a form of its own: refused is as good
            told = {error["source"]["pointer"] for error in made.json()["errors"]}
            data["attributes"] = {
                key: value for key, value in data["attributes"].items() if f"/data/attributes/{key}" not in told
            }
            data = {key: value for key, value in data.items() if f"/data/{key}" not in told}
            made = await acme.admin.post(path, {"data": data})
        assert made.status_code in {200, 201}, made.text
        rows.append(await row_of(keyrack, table, made.json()["data"]["id"]))
    plain, loaded = rows
    changed = {
        name
        for name, value in plain.items()
        if value != loaded[name] and name not in DIFFERS and not isinstance(value, bytes)
    }
    assert changed <= _may_be_chosen(kind), {name: loaded[name] for name in changed}
    assert loaded["tenant_id"] == acme.id
    assert globex.id not in str(loaded)
    assert len(loaded["id"]) == 24
    assert loaded["id"] != "0" * 24


def _may_be_chosen(kind: str) -> set[str]:
    """Return columns that a creator may fill, by the contract, and that the plain request has left out."""
    return {
        "team": set(),
        "workspace": {"attributes"},
        "component": {"attributes"},
        "webhook": {"event_types", "events", "description"},
        "user": {"first_name", "last_name", "company"},
    }[kind]


async def test_nobody_raises_himself_by_a_change(keyrack: World) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    before = await row_of(keyrack, schema.users, acme.guest.id)
    more = hostile(schema.users, globex) | {"first_name": "New"}
    for method, path in (("PATCH", f"/v2/users/{acme.guest.id}"), ("PATCH", "/v2/users/me"), ("PUT", "/v2/users/me")):
        for attributes in (more, {"tenant_roles": ["tenant-admin"]}, {"roles": ["tenant-admin"]}):
            sent = {"data": {"type": "user", "id": acme.guest.id, "attributes": attributes}}
            await acme.guest.call(method, path, sent)
    after = await row_of(keyrack, schema.users, acme.guest.id)
    same = set(before) - {"first_name", "last_name", "updated_at"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert (await acme.guest.get(f"/v2/tenants/{acme.id}/audit-events")).status_code == 403
