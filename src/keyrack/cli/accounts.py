"""`keyrack users`, `api-keys`, `service-accounts` and `audit`."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from keyrack.cli.common import Json, show, show_list, with_store
from keyrack.clock import iso, now

if TYPE_CHECKING:
    from keyrack.service.operator.accounts import Accounts

T = TypeVar("T")

users = typer.Typer(no_args_is_help=True)
api_keys = typer.Typer(no_args_is_help=True)
service_accounts = typer.Typer(no_args_is_help=True)
audit = typer.Typer(no_args_is_help=True)

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
    user, key = _with_accounts(lambda accounts: accounts.create_user(email, tenant, tenant_admin=tenant_admin))
    show({"user_id": user.id, "email": user.email, "api_key": key.reveal()}, as_json=as_json)


@users.command("list")
def list_users(tenant: Tenant, *, as_json: Json = False) -> None:
    """List a tenant's users."""
    found = _with_accounts(lambda accounts: accounts.users(tenant))
    rows = [{"user_id": user.id, "email": user.email, "registered": iso(user.registered)} for user in found]
    show_list(rows, as_json=as_json)


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
    stored, key = _with_accounts(lambda accounts: accounts.create_key(user, name, ends))
    shown = None if stored.expires_at is None else iso(stored.expires_at)
    result = {"id": stored.id, "user": user, "name": stored.name, "expires_at": shown, "api_key": key.reveal()}
    show(result, as_json=as_json)


@api_keys.command("list")
def list_keys(user: Name, *, as_json: Json = False) -> None:
    """List API keys, without the keys themselves."""
    found = _with_accounts(lambda accounts: accounts.keys(user))
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "created_at": iso(key.created_at),
            "expires_at": None if key.expires_at is None else iso(key.expires_at),
            "last_used_at": None if key.last_used_at is None else iso(key.last_used_at),
        }
        for key in found
    ]
    show_list(rows, as_json=as_json)


@api_keys.command("revoke")
def revoke_key(
    user: Name, key_id: Annotated[str, typer.Option("--id", help="Id of the key.")], *, as_json: Json = False
) -> None:
    """Revoke an API key immediately."""
    _with_accounts(lambda accounts: accounts.revoke_key(user, key_id))
    show({"id": key_id, "revoked": True}, as_json=as_json)


@service_accounts.command("create")
def create_service_account(
    name: Annotated[str, typer.Option("--name", help="User name; not an email.")],
    permission: Annotated[list[str], typer.Option("--permission", help="May be given several times.")],
    *,
    as_json: Json = False,
) -> None:
    """Create a service account with an API key, which is shown only once."""
    account, key = _with_accounts(lambda accounts: accounts.create_service_account(name, permission))
    result = {
        "id": account.id,
        "username": account.username,
        "permissions": sorted(account.permissions),
        "api_key": key.reveal(),
    }
    show(result, as_json=as_json)


@audit.command("list")
def list_events(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Id of the tenant; unset: the installation.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of rows.")] = 1000,
    *,
    as_json: Json = False,
) -> None:
    """List audit events, oldest first."""
    found = _with_accounts(lambda accounts: accounts.events(tenant, limit))
    rows = [
        {
            "at": iso(event.at),
            "actor": event.actor,
            "action": event.action,
            "target_type": event.target_type,
            "target_id": event.target_id,
            "outcome": event.outcome,
            "address": event.address,
            "request_id": event.request_id,
        }
        for event in found
    ]
    show_list(rows, as_json=as_json)


def _with_accounts(use: "Callable[[Accounts], Awaitable[T]]") -> T:
    from keyrack.service.operator.accounts import Accounts

    return with_store(lambda store: use(Accounts(store)))
