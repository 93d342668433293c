"""Names that somebody might choose to break a page, in everything that a tenant can name."""

from typing import Any

from sqlalchemy import Column, Table, select, update

from keyrack.store import schema as s
from support.app import World

MARK = "data-hostile"
"""An attribute that no element of a page has, unless a name was taken for markup."""

LONG = "W" * 10_000
TURNED = "\u202etxt.exe\u2066"
"""With marks that turn the direction of what follows."""

SCRIPT = (
    f"</title></script></textarea><script {MARK}>window.hostile=1</script>"
    f"\"'><img {MARK} src=x onerror=window.hostile=1>{{{{7*7}}}}javascript:window.hostile=1"
)
NAME = f"{SCRIPT}{TURNED}{LONG}"


def _named() -> list[tuple[Table, Column[Any]]]:
    tables = {
        s.tenants: ["name"],
        s.users: ["first_name", "last_name", "company"],
        s.contracts: ["name"],
        s.workspaces: ["name"],
        s.api_keys: ["name"],
        s.auth_clients: ["name"],
        s.auth_secrets: ["name", "error"],
        s.credentials: ["name"],
        s.flows: ["name", "description"],
        s.webhooks: ["description"],
        s.consents: ["error"],
        s.connect_links: ["error"],
        s.console_sessions: ["browser"],
        s.audit_events: ["actor", "target_id"],
    }
    return [(table, table.c[name]) for table, names in tables.items() for name in names]


async def make_hostile(world: World) -> None:
    """Give everything that has a name one of these; on the embedded database, which takes any length."""
    async with world.store.installation(writes=True) as unit:
        for table, column in _named():
            some = await unit.connection.execute(select(column).limit(1))
            assert some.all(), f"nothing is in {table.name}"
            await unit.connection.execute(update(table).values({column: NAME}))
        found = (await unit.connection.execute(s.component_versions.select())).all()
        for row in found:
            shown = {"title": NAME, "description": NAME}
            changed = {**row.descriptor, **shown}
            where = (s.component_versions.c.component_id == row.component_id) & (
                s.component_versions.c.revision == row.revision
            )
            await unit.connection.execute(update(s.component_versions).where(where).values(descriptor=changed))
