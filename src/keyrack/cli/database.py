"""`keyrack bootstrap` and `keyrack db`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, show, show_made
from keyrack.clock import now
from keyrack.errors import ConfigurationError
from keyrack.validation.emails import fault_of

if TYPE_CHECKING:
    from keyrack.service.operator.installation import FirstAccounts
    from keyrack.settings import Settings

db = typer.Typer(no_args_is_help=True)


def bootstrap(
    email: Annotated[str, typer.Option("--email", help="Email address of the first tenant's admin.")],
    tenant_name: Annotated[str, typer.Option("--tenant-name", help="Name of the first tenant.")] = "Main",
    app_domain: Annotated[str, typer.Option("--app-domain", help="Host of the callback address.")] = "localhost",
    team_name: Annotated[
        str, typer.Option("--team-name", help="Name of the first team; team names are unique.")
    ] = "main",
    *,
    unattended: Annotated[
        bool,
        typer.Option(
            "--unattended", help="For jobs, whose output is kept: make no keys, and succeed if it was set up before."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Set up an empty database.

    It gets a first tenant with an admin, and a service account. Their keys are shown only once.
    """
    import asyncio

    from keyrack import logs
    from keyrack.service.operator.installation import AlreadySetUp
    from keyrack.settings import load_settings

    settings = load_settings()
    logs.configure(settings)
    try:
        first = asyncio.run(_bootstrap(settings, email, tenant_name, app_domain, team_name, with_keys=not unattended))
    except AlreadySetUp:
        if not unattended:
            raise
        show({"already_set_up": True}, as_json=as_json)
        return
    result: dict[str, Any] = {
        "tenant_id": first.tenant_id,
        "contract_id": first.contract_id,
        "workspace_id": first.workspace_id,
        "team_id": first.team_id,
        "admin": {"email": first.email, "user_id": first.user_id},
        "service_account": {"username": first.service_account},
    }
    keys = {}
    for account, name, key in (
        ("admin", first.email, first.user_key),
        ("service_account", first.service_account, first.service_key),
    ):
        if key is not None:
            keys[name] = key
            result[account]["api_key"] = key.reveal()
    show_made(result, keys, as_json=as_json)


@db.command("upgrade")
def upgrade(*, as_json: Json = False) -> None:
    """Bring the database schema up to date."""
    import asyncio

    from keyrack import logs
    from keyrack.settings import load_settings

    settings = load_settings()
    logs.configure(settings)
    before, after = asyncio.run(_upgrade(settings))
    show({"before": before, "after": after}, as_json=as_json)


async def _bootstrap(
    settings: "Settings", email: str, tenant_name: str, app_domain: str, team_name: str, *, with_keys: bool
) -> "FirstAccounts":
    from keyrack.crypto.kek import local
    from keyrack.crypto.kek.sources import FILE, named_sources
    from keyrack.service.operator.installation import InstallationSetup
    from keyrack.store.core.private_files import require_private_home
    from keyrack.wiring.storage import open_store

    if fault := fault_of(email):
        raise ConfigurationError(f"--email is not an email: {fault}")
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_private_home(settings.home)
    await _upgrade(settings)
    if tuple(named_sources(settings)) == (FILE,) and settings.key_file is None:
        local.generate(settings.effective_key_file)
    store = open_store(settings)
    try:
        return await InstallationSetup(store, now).bootstrap(
            email, tenant_name, app_domain, team_name, with_keys=with_keys
        )
    finally:
        await store.close()


async def _upgrade(settings: "Settings") -> tuple[str | None, str]:
    from keyrack.store import migrations
    from keyrack.store.core import engine

    database = engine.create_engine(settings)
    try:
        return await migrations.upgrade(database)
    finally:
        await database.dispose()
