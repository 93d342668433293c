"""`keyrack tenants`."""

from typing import Annotated

import typer

from keyrack.cli.accounts import with_accounts
from keyrack.cli.common import Json, show, show_list
from keyrack.clock import iso

tenants = typer.Typer(no_args_is_help=True)


@tenants.command("list")
def list_tenants(*, as_json: Json = False) -> None:
    """List the tenants of the installation."""
    found = with_accounts(lambda accounts: accounts.tenants())
    rows = [
        {
            "tenant_id": tenant.id,
            "name": tenant.name,
            "app_domain": tenant.app_domain,
            "created_at": iso(tenant.created_at),
        }
        for tenant in found
    ]
    show_list(("tenant_id", "name", "app_domain", "created_at"), rows, as_json=as_json)


@tenants.command("show")
def show_tenant(tenant_id: Annotated[str, typer.Argument(help="Id of the tenant.")], *, as_json: Json = False) -> None:
    """Show one tenant with its attributes."""
    tenant = with_accounts(lambda accounts: accounts.tenant(tenant_id))
    own = {
        "tenant_id": tenant.id,
        "name": tenant.name,
        "app_domain": tenant.app_domain,
        "created_at": iso(tenant.created_at),
    }
    if as_json:
        show(own | {"attributes": tenant.attributes}, as_json=True)
    else:
        show(own | {name: value for name, value in tenant.attributes.items() if name not in own}, as_json=False)


@tenants.command("allow-passwords")
def allow_passwords(
    tenant_id: Annotated[str, typer.Argument(help="Id of the tenant.")], *, as_json: Json = False
) -> None:
    """Let a tenant's users sign in with passwords again."""
    with_accounts(lambda accounts: accounts.allow_passwords(tenant_id))
    show({"tenant_id": tenant_id, "allows_passwords": True}, as_json=as_json)
