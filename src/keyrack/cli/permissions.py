"""`keyrack permissions`."""

import typer

from keyrack.cli.common import Json, show_list

permissions = typer.Typer(no_args_is_help=True)


@permissions.command("list")
def list_permissions(*, as_json: Json = False) -> None:
    """List every permission, and which default roles hold it.

    Those that are listed are what a tenant's roles are made of (`GET /v2/permissions`); a service account may hold any.
    """
    from keyrack.service.authz.permissions import ALL, DEFAULT_ROLES, LISTED

    rows = [
        {
            "permission": name,
            "listed": name in LISTED,
            "default_roles": [f"{role.scope}.{role.role}" for role in DEFAULT_ROLES if name in role.permissions],
        }
        for name in sorted(ALL)
    ]
    if not as_json:
        rows = [row | {"listed": "yes" if row["listed"] else "no"} for row in rows]
    show_list(("permission", "listed", "default_roles") if as_json else ("permission", "listed"), rows, as_json=as_json)
