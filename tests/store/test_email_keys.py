"""Emails that look alike are one, wherever one is given, and where several were stored before (issue 9.11)."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic import command
from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from keyrack.errors import ConfigurationError
from keyrack.store import migrations, schema_revision
from keyrack.store.core import engine
from keyrack.store.schema import contract_invites, users
from support.app import Caller, World, error_of, settings_for, world

KELVIN = "\u212aim@acme.example"
KIM = "kim@acme.example"
UNSEEN = "k\u200bim@acme.example"


def create(who: Caller, email: str) -> Any:
    attributes = {"first_name": "A", "last_name": "B", "email": email, "password": "correct h0rse"}
    return who.post("/v2/users", {"data": {"type": "user", "attributes": attributes}})


def invite(who: Caller, contract_id: str, email: str) -> Any:
    data = {"type": "contract-invite", "attributes": {"email": email, "roles": ["member"]}}
    return who.post(f"/v2/contracts/{contract_id}/invites", {"data": data})


async def test_look_alikes_are_one_email_over_the_api(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    admin, pointer = acme.admin, "/data/attributes/email"
    assert error_of(await create(admin, UNSEEN)) == (400, "validation_error", pointer)
    assert error_of(await invite(admin, acme.contract_id, UNSEEN)) == (400, "validation_error", pointer)
    assert (await invite(admin, acme.contract_id, KELVIN)).status_code == 200
    assert error_of(await invite(admin, acme.contract_id, KIM)) == (409, "already_exists", pointer)
    made = await create(admin, KIM)
    assert made.status_code == 201
    assert error_of(await create(admin, KELVIN)) == (409, "already_exists", pointer)
    members = (await admin.get(f"/v2/contracts/{acme.contract_id}/members")).json()["data"]
    assert made.json()["data"]["id"] in {member["id"] for member in members}
    found = (await admin.get("/v2/users", params={"email": KELVIN})).json()["data"]
    assert [user["attributes"]["email"] for user in found] == [KIM]


async def test_any_spelling_signs_in(keyrack: World) -> None:
    caller = await keyrack.add_user(keyrack.tenants["Acme"].id, "zo\u00eb@acme.example")
    for name in ("ZO\u00cb@acme.example", "zoe\u0308@acme.example"):
        answer: httpx2.Response = await Caller(keyrack.http, name, caller.api_key).get("/v2/users/me")
        assert answer.status_code == 200
    stranger = await Caller(keyrack.http, "zoe@acme.example", caller.api_key).get("/v2/users/me")
    assert stranger.status_code == 401


def _go_back(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0018")
    command.downgrade(config, "-1")


@pytest.mark.parametrize("clash", [False, True], ids=["apart", "clash"])
async def test_what_was_stored_before_is_compared_anew(tmp_path: Path, database_url: str | None, clash: bool) -> None:
    settings = settings_for(tmp_path, database_url)
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        one = await keyrack.add_user(acme.id, "one@acme.example")
        two = await keyrack.add_user(acme.id, "two@acme.example")
        await invite(acme.admin, acme.contract_id, KIM)
        database = engine.create_engine(settings)
        try:
            async with database.begin() as connection:
                await connection.run_sync(_go_back)
                for user, email in (
                    (one, "ad\u0131@acme.example"),
                    (two, "adi@acme.example" if clash else "\uff21\uff24@acme.example"),
                ):
                    change = update(users).where(users.c.id == user.id)
                    await connection.execute(change.values(email=email, email_key=email.casefold()))
                (row,) = (await connection.execute(select(contract_invites))).all()
                later = {**row._asdict(), "id": "f" * 24, "email": UNSEEN, "email_key": UNSEEN}
                await connection.execute(insert(contract_invites).values(later))
            if clash:
                with pytest.raises(ConfigurationError, match="count as one") as refused:
                    await migrations.upgrade(database)
                assert one.id in str(refused.value)
                assert two.id in str(refused.value)
                async with database.connect() as connection:
                    assert await connection.run_sync(schema_revision.current) != "0018"
                return
            await migrations.upgrade(database)
            async with database.connect() as connection:
                keys = dict(list(await connection.execute(select(users.c.id, users.c.email_key))))
                invited = (await connection.execute(select(contract_invites.c.email))).scalars().all()
        finally:
            await database.dispose()
    assert (keys[one.id], keys[two.id]) == ("adi@acme.example", "ad@acme.example")
    assert invited == [KIM]
