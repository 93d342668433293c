"""`keyrack secrets`."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from keyrack.cli.common import Json, moment, show, show_list
from keyrack.errors import ConfigurationError

if TYPE_CHECKING:
    from keyrack.service.operator.secrets import OperatorView, SecretOperations

secrets = typer.Typer(no_args_is_help=True)

T = TypeVar("T")
_COLUMNS = ("id", "workspace_id", "name", "state", "error_code", "expires_at", "next_refresh_at", "last_used_at")
"""What a list shows of a secret, but as JSON."""

SecretId = Annotated[str, typer.Argument(help="Id of the secret.")]


class State(StrEnum):
    """State that a reader would see now."""

    ready = "ready"
    error = "error"


@secrets.command("list")
def list_secrets(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Id of a tenant; unset: all.")] = None,
    workspace: Annotated[str | None, typer.Option("--workspace", help="Id of a workspace; unset: all.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="State that a reader would see now.")] = None,
    expires_before: Annotated[
        str | None, typer.Option("--expires-before", help="A time such as 2026-01-31T12:00:00Z.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of rows.")] = 1000,
    as_json: Json = False,
) -> None:
    """List auth secrets, without their credentials."""
    from keyrack.model.secrets import SecretFilter, SecretState

    wanted = SecretFilter(
        state=None if state is None else SecretState(state.value), expires_before=_time(expires_before)
    )
    found = _with_secrets(lambda desk: desk.list(tenant, workspace, wanted, limit))
    show_list(_COLUMNS, [_row(view) for view in found], as_json=as_json)


@secrets.command("show")
def show_secret(
    secret_id: SecretId,
    *,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Also print the credentials; this is recorded in the audit log.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show one auth secret and the state of its refresh."""
    from keyrack.service.secrets.oauth2_credentials import shown

    view = _with_secrets(lambda desk: desk.show(secret_id, reveal=reveal))
    credentials = {"credentials": shown(view.secret)} if reveal else {}
    show(_row(view) | credentials, as_json=as_json)


@secrets.command("refresh")
def refresh_secret(secret_id: SecretId, *, as_json: Json = False) -> None:
    """Refresh one auth secret now. It is safe while servers and workers are running."""
    show(_row(_with_secrets(lambda desk: desk.refresh(secret_id))), as_json=as_json)


def _with_secrets(use: "Callable[[SecretOperations], Awaitable[T]]") -> T:
    """Do something with the secrets while the refresh engine runs in this process."""
    import asyncio

    from keyrack import logs
    from keyrack.service.operator.secrets import SecretOperations
    from keyrack.settings import load_settings
    from keyrack.wiring.services import build_services
    from keyrack.wiring.storage import open_store
    from keyrack.wiring.worker import running

    settings = load_settings()
    logs.configure(settings)

    async def run() -> T:
        store = open_store(settings)
        made = build_services(store, settings)
        async with running(store, made, settings, works=False):
            return await use(SecretOperations(store, made.refreshing.fresh))

    return asyncio.run(run())


def _row(view: "OperatorView") -> dict[str, Any]:
    secret, failure = view.secret, view.secret.failure
    return {
        "id": secret.id,
        "tenant_id": secret.tenant_id,
        "workspace_id": secret.workspace_id,
        "user_id": secret.user_id,
        "auth_client_id": secret.auth_client_id,
        "name": secret.name,
        "type": secret.type,
        "state": view.status.state.value,
        "error_code": None if view.status.error_code is None else view.status.error_code.value,
        "error": view.status.error,
        "expires_at": moment(secret.expires_at),
        "last_refreshed_at": moment(secret.refreshed_at),
        "next_refresh_at": moment(secret.next_refresh_at),
        "last_error": None if failure is None else failure.text,
        "last_error_at": None if failure is None else moment(secret.failed_at),
        "failures": secret.failure_count,
        "last_used_at": moment(secret.last_used_at),
    }


def _time(text: str | None) -> datetime | None:
    from keyrack.validation.times import NOT_A_TIME, parse_time

    if text is None:
        return None
    at = parse_time(text)
    if at is None:
        raise ConfigurationError(f"--expires-before {NOT_A_TIME}")
    return at
