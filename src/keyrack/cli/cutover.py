"""`keyrack cutover`: hands the renewing of imported grants over to Keyrack (docs/migrating.md)."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, moment, show, show_list, with_store

if TYPE_CHECKING:
    from keyrack.service.importers.cutover import BatchStatus, Cutover
    from keyrack.store.core.store import Store

cutover = typer.Typer(no_args_is_help=True)

_COLUMNS = ("id", "tenant_id", "source", "name", "cut_over_at", "waiting", "expired")


@cutover.command("status")
def status(*, as_json: Json = False) -> None:
    """List what was imported from other systems.

    With how many grants of it Keyrack does not renew yet.
    """
    from keyrack.clock import now
    from keyrack.service.importers.cutover import Cutover

    async def read(store: "Store") -> list[dict[str, Any]]:
        return [_row(each) for each in await Cutover(store, now).status()]

    show_list(_COLUMNS, with_store(read), as_json=as_json)


@cutover.command("batch")
def cut_batch_over(
    batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="Id of an import, as `status` lists it.")],
    *,
    as_json: Json = False,
) -> None:
    """Renew what an import brought from now on.

    Nothing more is taken into it. Stop the other system first.
    """
    _cut_over(lambda made: made.of_batch(batch_id), as_json=as_json)


@cutover.command("client")
def cut_client_over(
    auth_client_id: Annotated[str, typer.Argument(metavar="CLIENT", help="Id of an auth client.")],
    *,
    as_json: Json = False,
) -> None:
    """Renew the imported grants of one auth client from now on. Stop the other system from doing so first."""
    _cut_over(lambda made: made.of_client(auth_client_id), as_json=as_json)


@cutover.command("everything")
def cut_everything_over(*, as_json: Json = False) -> None:
    """Renew what all imports brought from now on, of all tenants. Stop the other systems first."""
    _cut_over(lambda made: made.of_everything(), as_json=as_json)


def _cut_over(choose: "Callable[[Cutover], AsyncIterator[int]]", *, as_json: bool) -> None:
    from keyrack.cli.progress import Steps
    from keyrack.clock import now
    from keyrack.service.importers.cutover import Cutover

    async def run(store: "Store") -> int:
        made = Cutover(store, now)
        waiting = sum(each.waiting.grants for each in await made.status())
        count = 0
        with Steps() as steps:
            steps.section("cutting over", "grants", waiting)
            async for number in choose(made):
                steps.advance(number)
                count += number
        return count

    show({"grants": with_store(run)}, as_json=as_json)


def _row(found: "BatchStatus") -> dict[str, Any]:
    batch = found.batch
    return {
        "id": batch.id,
        "tenant_id": batch.tenant_id,
        "source": batch.source,
        "name": batch.name,
        "created_at": moment(batch.created_at),
        "cut_over_at": moment(batch.cut_over_at),
        "waiting": found.waiting.grants,
        "expired": found.waiting.expired,
    }
