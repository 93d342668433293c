"""`keyrack users` and `keyrack api-keys`."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from keyrack.cli.common import Json, moment, show, show_list, show_made, with_store
from keyrack.clock import iso, now

if TYPE_CHECKING:
    from keyrack.crypto.secret import Secret
    from keyrack.model.identity import ApiKey
    from keyrack.service.operator.accounts import Accounts

T = TypeVar("T")

users = typer.Typer(no_args_is_help=True)
api_keys = typer.Typer(no_args_is_help=True)

KEY_COLUMNS = ("id", "name", "created_at", "expires_at", "last_used_at")

Tenant = Annotated[str, typer.Option("--tenant", help="Id of the tenant.")]
Name = Annotated[str, typer.Option("--user", help="Email of a user, or name of a service account.")]


@users.command("create")
def create_user(
    email: Annotated[str, typer.Option("--email", help="Email address; unique in the installation.")],
    tenant: Tenant,
    *,
    tenant_admin: Annotated[bool, typer.Option("--tenant-admin", help="Give the role tenant-admin.")] = False,
    as_json: Json = False,
) -> None:
    """Create a user with an API key, which is shown only once."""
    user, key = with_accounts(lambda accounts: accounts.create_user(email, tenant, tenant_admin=tenant_admin))
    result = {"user_id": user.id, "email": user.email, "api_key": key.reveal()}
    show_made(result, {user.email: key}, as_json=as_json)


@users.command("list")
def list_users(tenant: Tenant, *, as_json: Json = False) -> None:
    """List a tenant's users."""
    found = with_accounts(lambda accounts: accounts.users(tenant))
    rows = [{"user_id": user.id, "email": user.email, "registered": iso(user.registered)} for user in found]
    show_list(("user_id", "email", "registered"), rows, as_json=as_json)


@users.command("setup-link")
def create_setup_link(
    email: Annotated[str, typer.Option("--email", help="The user's email address.")], *, as_json: Json = False
) -> None:
    """Make a link with which a user gets an API key, once.

    It is shown only once and valid for a day.
    """
    from keyrack.service.tenancy.setup_links import SetupLinkMaker
    from keyrack.settings import load_settings

    settings = load_settings()
    links = SetupLinkMaker(settings.public_url, sends_mail=settings.smtp_url is not None)
    made = with_accounts(lambda accounts: accounts.create_setup_link(email, links))
    show({"email": email, "url": made.url.reveal(), "expires_at": iso(made.link.expires_at)}, as_json=as_json)


@users.command("set-password")
def set_password(
    email: Annotated[str, typer.Option("--email", help="The user's email address.")], *, as_json: Json = False
) -> None:
    """Set a user's password for the console.

    It is asked for, or read as the first line of standard input. All sessions of the user end.
    """
    password = read_password()
    with_accounts(lambda accounts: accounts.set_password(email, password))
    show({"email": email, "password_set": True}, as_json=as_json)


@users.command("disable-totp")
def disable_totp(
    email: Annotated[str, typer.Argument(help="The user's email address.")], *, as_json: Json = False
) -> None:
    """Turn a user's two-step sign-in off.

    For somebody who has lost the phone. The password stays, and so do sessions.
    """
    with_accounts(lambda accounts: accounts.disable_totp(email))
    show({"email": email, "totp": "off"}, as_json=as_json)


@api_keys.command("create")
def create_key(
    user: Name,
    name: Annotated[str, typer.Option("--name", help="Name of the key.")] = "command line",
    days: Annotated[int | None, typer.Option("--expires-in-days", min=1, help="Days until the key expires.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Create an API key, which is shown only once."""
    ends: datetime | None = None if days is None else now() + timedelta(days=days)
    stored, key = with_accounts(lambda accounts: accounts.create_key(user, name, ends))
    result = {"id": stored.id, "user": user, "name": stored.name, "expires_at": moment(stored.expires_at)}
    show_made(result | {"api_key": key.reveal()}, {user: key}, as_json=as_json)


@api_keys.command("list")
def list_keys(user: Name, *, as_json: Json = False) -> None:
    """List API keys, without the keys themselves."""
    found = with_accounts(lambda accounts: accounts.keys(user))
    show_list(KEY_COLUMNS, [key_row(key) for key in found], as_json=as_json)


@api_keys.command("revoke")
def revoke_key(
    user: Name, key_id: Annotated[str, typer.Option("--id", help="Id of the key.")], *, as_json: Json = False
) -> None:
    """Revoke an API key immediately."""
    with_accounts(lambda accounts: accounts.revoke_key(user, key_id))
    show({"id": key_id, "revoked": True}, as_json=as_json)


def read_password() -> "Secret":
    """Ask for a password, or take it as the first line of standard input."""
    import sys

    from keyrack.service.identity.password_rules import normal_password

    if sys.stdin.isatty():
        text: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    return normal_password(text)


def key_row(key: "ApiKey") -> dict[str, Any]:
    """Return what is shown of an API key."""
    return {
        "id": key.id,
        "name": key.name,
        "created_at": iso(key.created_at),
        "expires_at": moment(key.expires_at),
        "last_used_at": moment(key.last_used_at),
    }


def with_accounts(use: "Callable[[Accounts], Awaitable[T]]") -> T:
    """Do something with the operator's view of users, keys, service accounts and tenants."""
    from keyrack.service.operator.accounts import Accounts

    return with_store(lambda store: use(Accounts(store)))
