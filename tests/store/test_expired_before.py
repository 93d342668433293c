"""Tokens that expired before the schema knew of it become due with the upgrade; those that have not, when they do."""

from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from sqlalchemy.engine import Connection

from keyrack.store import migrations
from keyrack.store.core import engine
from support.app import BASE, settings_for, world
from support.grants import add_auth_client, add_secret, change, stored


def _downgrade(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0013")


async def test_an_upgrade_makes_expired_tokens_due(tmp_path: Path, database_url: str | None) -> None:
    settings = settings_for(tmp_path, database_url, public_url=BASE)
    async with world(settings) as keyrack:
        store, acme = keyrack.store, keyrack.tenants["Acme"]
        client = await add_auth_client(store, acme.id, "https://as.example/token")
        old, young, expired, renewable = [
            await add_secret(store, acme, client, tokens, age=age)
            for tokens, age in (
                ({"access_token": "a"}, 90_000),
                ({"access_token": "a"}, 60),
                ({"access_token": "a"}, 4000),
                ({"access_token": "a", "refresh_token": "r"}, 60),
            )
        ]
        for secret in (old, young, expired):
            await change(store, secret, due_at=None)
        young, renewable = await stored(store, young), await stored(store, renewable)
        database = engine.create_engine(settings)
        try:
            async with database.begin() as connection:
                await connection.run_sync(_downgrade)
            before = datetime.now(UTC)
            await migrations.upgrade(database)
        finally:
            await database.dispose()
        for secret in (old, expired):
            due_at = (await stored(store, secret)).due_at
            assert due_at is not None
            assert abs((due_at - before).total_seconds()) < 600, "now, not as if it had been due for long"
        assert (await stored(store, young)).due_at == young.expires_at
        assert (await stored(store, renewable)).due_at == renewable.due_at
