"""`keyrack migrate`: from earlier ways of keeping clients (docs/migrating.md)."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, show_json, show_list, with_store

if TYPE_CHECKING:
    from keyrack.service.importers.environment_clients import ComponentResult
    from keyrack.store.core.store import Store

migrate = typer.Typer(no_args_is_help=True)

_COLUMNS = ("tenant_id", "component", "outcome", "oauth_client_id", "unused", "why")


@migrate.callback()
def _several() -> None:
    """Migrate from earlier ways of keeping clients."""


@migrate.command("env-vars")
def env_vars(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Id of a tenant; unset: all.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write; without it, only tell what would be done.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Delete what was made and is as it was made.")] = False,
    as_json: Json = False,
) -> None:
    """Make OAuth clients of components' variables.

    Of the keys in them, for the tenant that owns the component, and no other. The variables stay as they are.
    """
    from keyrack.clock import now
    from keyrack.service.importers.environment_clients import EnvironmentClients
    from keyrack.service.operator.installation import InstallationSetup

    found: list[dict[str, Any]] = []

    async def run(store: "Store") -> None:
        await InstallationSetup(store, now).verify_key()
        clients = EnvironmentClients(store)
        what = clients.undo if undo else clients.make
        await what(tenant, lambda result: found.append(_row(result)), applies=apply)

    with_store(run)
    if as_json:
        show_json({"applied": apply, "components": found})
        return
    show_list(_COLUMNS, [{**row, "unused": " ".join(row["unused"])} for row in found], as_json=False)
    if not apply and found:
        typer.echo("nothing was written; --apply does it")


def _row(result: "ComponentResult") -> dict[str, Any]:
    return {
        "tenant_id": result.tenant_id,
        "component_id": result.component_id,
        "component": result.component,
        "outcome": result.outcome.value,
        "oauth_client_id": result.oauth_client_id,
        "unused": list(result.unused),
        "why": result.why or None,
    }
