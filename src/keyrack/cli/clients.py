"""`keyrack clients`."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from keyrack.cli.common import Json, moment, show, show_list, with_store
from keyrack.errors import ConfigurationError

if TYPE_CHECKING:
    from keyrack.model.deleted_clients import DeletedClient
    from keyrack.model.rotations import SecretRotation
    from keyrack.store.core.store import Store
    from keyrack.wiring.services import Services

clients = typer.Typer(no_args_is_help=True)

T = TypeVar("T")
_DELETED = ("client_id", "type", "tenant_id", "name", "component_id", "deleted_at", "restorable_until")
ClientId = Annotated[str, typer.Argument(help="Id of an auth client or OAuth client.")]


@clients.command("rotate")
def rotate_secret(
    client_id: ClientId,
    *,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="File with the new secret; unset: standard input.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="When the new secret ends, such as 2027-01-31T12:00:00Z.")
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=1, max=20, help="On how many connections it is tried before it is used.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Add a new secret beside the old one.

    A worker tries it, and uses it when it works.
    """
    from keyrack.crypto.secret import Secret
    from keyrack.service.rotation.rotation_desk import RotationDesk
    from keyrack.service.rotation.steps import NewSecret

    text = sys.stdin.read() if secret_file is None else secret_file.read_text(encoding="utf-8")
    new = NewSecret(Secret(text.rstrip("\r\n")), _time(expires), sample)
    begun = _with_services(lambda store, made: RotationDesk(store, made.rotation_steps).begin(client_id, new))
    show(_row(client_id, begun), as_json=as_json)


@clients.command("rotation")
def show_rotation(client_id: ClientId, *, as_json: Json = False) -> None:
    """Show how the rotation of a client's secret stands."""
    from keyrack.service.rotation.rotation_desk import RotationDesk

    found = _with_services(lambda store, made: RotationDesk(store, made.rotation_steps).show(client_id))
    show(_row(client_id, found), as_json=as_json)


@clients.command("promote")
def promote_secret(client_id: ClientId, *, as_json: Json = False) -> None:
    """Use the new secret now, whatever came of trying it.

    The old one stays beside it.
    """
    _move(client_id, "promoted", as_json=as_json)


@clients.command("roll-back")
def roll_back_secret(client_id: ClientId, *, as_json: Json = False) -> None:
    """Use the old secret again; the new one stays beside it."""
    _move(client_id, "rolled_back", as_json=as_json)


@clients.command("try")
def try_secret(client_id: ClientId, *, as_json: Json = False) -> None:
    """Have the new secret tried again now."""
    _move(client_id, "trying", as_json=as_json)


@clients.command("retire")
def retire_secret(client_id: ClientId, *, as_json: Json = False) -> None:
    """Forget the secret that is not used; this ends the rotation."""
    from keyrack.service.rotation.rotation_desk import RotationDesk

    _with_services(lambda store, made: RotationDesk(store, made.rotation_steps).end(client_id))
    show({"client_id": client_id, "rotation": "ended"}, as_json=as_json)


@clients.command("usage")
def show_usage(client_id: ClientId, *, as_json: Json = False) -> None:
    """Show what depends on a client, in all tenants.

    What rotating, freezing or deleting it could hit.
    """
    from keyrack.model.containment import FreezeKind
    from keyrack.service.containment.containment import Containment

    async def look(store: "Store", _: "Services") -> dict[str, Any]:
        desk = Containment(store)
        target = await desk.target(FreezeKind.client, client_id)
        return asdict(await desk.blast_radius(FreezeKind.client, target))

    show({"client_id": client_id, **_with_services(look)}, as_json=as_json)


@clients.command("deleted")
def list_deleted(*, as_json: Json = False) -> None:
    """List deleted clients that can be restored.

    Of all tenants, and global ones.
    """
    from keyrack.service.deleted_clients.operator_desk import DeletedClientDesk

    found = with_store(lambda store: DeletedClientDesk(store).list())
    show_list(_DELETED, [_deleted_row(each) for each in found], as_json=as_json)


@clients.command("restore")
def restore_client(client_id: ClientId, *, as_json: Json = False) -> None:
    """Put a deleted client back as it was, with its id and secrets."""
    from keyrack.service.deleted_clients.operator_desk import DeletedClientDesk

    done = with_store(lambda store: DeletedClientDesk(store).restore(client_id))
    show(_which(done) | {"restored": True}, as_json=as_json)


@clients.command("purge")
def purge_client(client_id: ClientId, *, as_json: Json = False) -> None:
    """Delete a deleted client for good, before its time is over."""
    from keyrack.service.deleted_clients.operator_desk import DeletedClientDesk

    done = with_store(lambda store: DeletedClientDesk(store).purge(client_id))
    show(_which(done) | {"purged": True}, as_json=as_json)


def _which(deleted: "DeletedClient") -> dict[str, Any]:
    return {"client_id": deleted.id, "type": deleted.kind.value, "tenant_id": deleted.tenant_id or None}


def _deleted_row(deleted: "DeletedClient") -> dict[str, Any]:
    return {
        **_which(deleted),
        "contract_id": deleted.contract_id,
        "workspace_id": deleted.workspace_id,
        "name": deleted.name,
        "component_id": deleted.component_id,
        "deleted_at": moment(deleted.deleted_at),
        "restorable_until": moment(deleted.ends_at),
    }


def _move(client_id: str, state: str, *, as_json: bool) -> None:
    from keyrack.model.rotations import RotationState
    from keyrack.service.rotation.rotation_desk import RotationDesk

    wanted = RotationState(state)
    moved = _with_services(lambda store, made: RotationDesk(store, made.rotation_steps).move(client_id, wanted))
    show(_row(client_id, moved), as_json=as_json)


def _with_services(use: "Callable[[Store, Services], Awaitable[T]]") -> T:
    """Do something with use cases; nothing runs beside it."""
    import asyncio

    from keyrack import logs
    from keyrack.settings import load_settings
    from keyrack.wiring.services import build_services
    from keyrack.wiring.storage import open_store

    settings = load_settings()
    logs.configure(settings)

    async def run() -> T:
        store = open_store(settings)
        made = build_services(store, settings)
        try:
            return await use(store, made)
        finally:
            await made.close()
            await store.close()

    return asyncio.run(run())


def _row(client_id: str, rotation: "SecretRotation") -> dict[str, Any]:
    last = rotation.trials[-1] if rotation.trials else None
    return {
        "client_id": client_id,
        "state": rotation.state.value,
        "in_use": "new" if rotation.state.value == "promoted" else "old",
        "sample": rotation.sample,
        "accepted": rotation.accepted,
        "tried": len(rotation.trials),
        "last_result": None if last is None else last.result.value,
        "last_error": None if last is None else last.error,
        "began_at": moment(rotation.began_at),
        "changed_at": moment(rotation.changed_at),
        "old_secret_retires_at": moment(rotation.retires_at),
    }


def _time(text: str | None) -> datetime | None:
    from keyrack.validation.times import NOT_A_TIME, parse_time

    if text is None:
        return None
    at = parse_time(text)
    if at is None:
        raise ConfigurationError(f"--expires {NOT_A_TIME}")
    return at
