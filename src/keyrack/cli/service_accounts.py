"""`keyrack service-accounts`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.accounts import KEY_COLUMNS, key_row, read_password, with_accounts
from keyrack.cli.common import Json, show, show_list, show_made
from keyrack.clock import iso
from keyrack.errors import ConfigurationError

if TYPE_CHECKING:
    from keyrack.model.identity import ServiceAccount

service_accounts = typer.Typer(no_args_is_help=True)

Account = Annotated[str, typer.Argument(help="Name of the service account.")]
_SEVERAL = "May be given several times."


@service_accounts.command("create")
def create_service_account(
    name: Annotated[str, typer.Option("--name", help="User name; not an email.")],
    permission: Annotated[
        list[str], typer.Option("--permission", help=f"{_SEVERAL} `keyrack permissions list` has all.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Create a service account. Its API key is shown only once."""
    account, key = with_accounts(lambda accounts: accounts.create_service_account(name, permission))
    result = {
        "id": account.id,
        "username": account.username,
        "permissions": sorted(account.permissions),
        "api_key": key.reveal(),
    }
    show_made(result, {account.username: key}, as_json=as_json)


@service_accounts.command("list")
def list_service_accounts(*, as_json: Json = False) -> None:
    """List the service accounts of the installation."""
    found = with_accounts(lambda accounts: accounts.service_accounts())
    rows = [_row(account) for account in found]
    if not as_json:  # the names of permissions would fill pages; `show` has them
        rows = [row | {"permissions": len(row["permissions"])} for row in rows]
    show_list(("id", "username", "permissions", "created_at"), rows, as_json=as_json)


@service_accounts.command("show")
def show_service_account(name: Account, *, as_json: Json = False) -> None:
    """Show one service account. With its permissions and its API keys, without the keys themselves."""
    account, keys = with_accounts(lambda accounts: accounts.service_account(name))
    rows = [key_row(key) for key in keys]
    if as_json:
        show(_row(account) | {"api_keys": rows}, as_json=True)
        return
    permissions = sorted(account.permissions)
    show({name: value for name, value in _row(account).items() if name != "permissions"}, as_json=False)
    typer.echo("\npermissions:" if permissions else "\npermissions: -")
    for permission in permissions:
        typer.echo(f"  {permission}")
    typer.echo("\nAPI keys:")
    show_list(KEY_COLUMNS, rows, as_json=False)


@service_accounts.command("change")
def change_service_account(
    name: Account,
    new_name: Annotated[str | None, typer.Option("--name", help="New user name; not an email.")] = None,
    permission: Annotated[
        list[str] | None, typer.Option("--permission", help=f"Replaces all permissions it has. {_SEVERAL}")
    ] = None,
    add: Annotated[list[str] | None, typer.Option("--add", help=f"A permission to give. {_SEVERAL}")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help=f"A permission to take away. {_SEVERAL}")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Change a service account at once. Its name or permissions, that is; its API keys stay."""
    if permission and (add or remove):
        raise ConfigurationError("--permission replaces all permissions; it does not go with --add or --remove")
    if new_name is None and not (permission or add or remove):
        raise ConfigurationError("nothing to change: give --name, --permission, --add or --remove")

    def changed(held: frozenset[str]) -> list[str]:
        return [name for name in (permission or [*sorted(held), *(add or ())]) if name not in (remove or ())]

    account = with_accounts(lambda accounts: accounts.change_service_account(name, new_name, changed))
    show(_row(account), as_json=as_json)


@service_accounts.command("set-password")
def set_password(name: Account, *, as_json: Json = False) -> None:
    """Set a service account's password for the console.

    It is asked for, or read as the first line of standard input. All sessions of the account end.
    """
    from keyrack.model.identity import PrincipalKind

    password = read_password()
    with_accounts(lambda accounts: accounts.set_password(name, password, PrincipalKind.service_account))
    show({"username": name, "password_set": True}, as_json=as_json)


@service_accounts.command("disable-totp")
def disable_totp(name: Account, *, as_json: Json = False) -> None:
    """Turn a service account's two-step sign-in off. The password stays, and so do sessions."""
    from keyrack.model.identity import PrincipalKind

    with_accounts(lambda accounts: accounts.disable_totp(name, PrincipalKind.service_account))
    show({"username": name, "totp": "off"}, as_json=as_json)


@service_accounts.command("delete")
def delete_service_account(name: Account, *, as_json: Json = False) -> None:
    """Delete a service account with its API keys, at once."""
    account = with_accounts(lambda accounts: accounts.delete_service_account(name))
    show({"id": account.id, "username": account.username, "deleted": True}, as_json=as_json)


def _row(account: "ServiceAccount") -> dict[str, Any]:
    return {
        "id": account.id,
        "username": account.username,
        "permissions": sorted(account.permissions),
        "created_at": iso(account.created_at),
    }
