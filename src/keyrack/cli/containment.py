"""`keyrack contain`, `keyrack frozen`, `keyrack unfreeze`."""

import time
from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, complain, moment, show, show_json, show_list
from keyrack.errors import ConfigurationError

if TYPE_CHECKING:
    from keyrack.model.containment import BlastRadius, ContainedGrant, Freeze
    from keyrack.service.containment.containment import Containment

_COLUMNS = ("freeze_id", "kind", "target", "reason", "frozen_at", "lifted_at")


class Action(StrEnum):
    """What is done to each grant."""

    revoke = "revoke"
    rotate = "rotate"
    freeze = "freeze"


def contain(
    *,
    client: Annotated[str | None, typer.Option("--client", help="Id of an auth client or OAuth client.")] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", help="Where tokens are renewed, such as https://login.example.com.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Id of a tenant.")] = None,
    action: Annotated[
        Action, typer.Option("--action", help="Revoke all grants, exchange all tokens, or freeze only.")
    ] = Action.revoke,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the list of freezes.")] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without this, nothing is changed and what it would hit is shown.")
    ] = False,
    rehearse: Annotated[
        int | None, typer.Option("--rehearse", min=1, max=5000, help="Play it with so many grants at the simulator.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Freeze grants, then have them revoked or rotated.

    Those of a client, a provider or a tenant. One that was interrupted goes on when it is begun again.
    """
    if rehearse is not None:
        _rehearse(rehearse, action, as_json=as_json)
        return
    kind, named = _named(client, provider, tenant)
    if not yes:
        target, radius = _with_containment(lambda desk: _looked(desk, kind, named))
        hit: dict[str, Any] = {"kind": kind, "target": target, "done": "nothing; add --yes", **asdict(radius)}
        show(hit, as_json=as_json)
        return
    began = time.monotonic()
    frozen, grants, radius = _with_containment(lambda desk: _contained(desk, kind, named, action, reason))
    _show_report(frozen, grants, radius, time.monotonic() - began, as_json=as_json)


def frozen(*, as_json: Json = False) -> None:
    """List what is frozen, and what was."""
    found = _with_containment(lambda desk: desk.list())
    show_list(_COLUMNS, [_row(freeze) for freeze in found], as_json=as_json)


def unfreeze(
    freeze_id: Annotated[str, typer.Argument(help="Id of the freeze, as `keyrack frozen` shows it.")],
    *,
    as_json: Json = False,
) -> None:
    """Let the grants of a freeze be read again."""
    lifted = _with_containment(lambda desk: desk.lift(freeze_id))
    show(_row(lifted) | {"lifted": True}, as_json=as_json)


def _named(client: str | None, provider: str | None, tenant: str | None) -> tuple[str, str]:
    given = [(kind, name) for kind, name in (("client", client), ("provider", provider), ("tenant", tenant)) if name]
    if len(given) != 1:
        raise ConfigurationError("name one of --client, --provider and --tenant")
    return given[0]


async def _looked(desk: "Containment", kind: str, named: str) -> "tuple[str, BlastRadius]":
    from keyrack.model.containment import FreezeKind

    target = await desk.target(FreezeKind(kind), named)
    return target, await desk.blast_radius(FreezeKind(kind), target)


async def _contained(
    desk: "Containment", kind: str, named: str, action: Action, reason: str
) -> "tuple[Freeze, list[ContainedGrant], BlastRadius]":
    from keyrack.model.containment import FreezeKind
    from keyrack.service.containment.grant_actions import ContainAction

    target, radius = await _looked(desk, kind, named)
    frozen = await desk.freeze(FreezeKind(kind), target, reason)
    complain(f"frozen: {kind} {target} ({frozen.id})")
    if action is not Action.freeze:
        await desk.deal_with(frozen, ContainAction(action.value))
    return frozen, list(await desk.report(frozen)), radius


def _with_containment(use: Any) -> Any:
    """Do something with what contains incidents, while the refresh engine runs in this process."""
    import asyncio

    from keyrack import logs
    from keyrack.settings import load_settings
    from keyrack.wiring.services import build_services
    from keyrack.wiring.storage import open_store
    from keyrack.wiring.worker import running

    settings = load_settings()
    logs.configure(settings)

    async def run() -> Any:
        store = open_store(settings)
        made = build_services(store, settings)
        async with running(store, made, settings, works=False, api=False):
            return await use(made.containment)

    return asyncio.run(run())


def _rehearse(grants: int, action: Action, *, as_json: bool) -> None:
    import asyncio

    from keyrack.demo.containment_rehearsal import rehearse

    report = asyncio.run(rehearse(grants, "revoke" if action is Action.freeze else action.value))
    show(report, as_json=as_json)


def _show_report(
    frozen: "Freeze", grants: "list[ContainedGrant]", radius: "BlastRadius", seconds: float, *, as_json: bool
) -> None:
    from keyrack.model.containment import GrantStatus

    counts = Counter({status.value: 0 for status in GrantStatus})
    counts.update(each.status.value for each in grants)
    rows = [
        {"tenant_id": each.tenant_id, "secret_id": each.secret_id, "status": each.status.value, **each.facts}
        for each in grants
    ]
    summary = {
        **_row(frozen),
        **counts,
        "not_dealt_with": max(0, radius.grants - len(grants)),
        "credentials_of_components": radius.credentials,
        "seconds": round(seconds, 1),
    }
    if as_json:
        show_json(summary | {"grants": rows})
        return
    show(summary, as_json=False)
    left = [row for row in rows if row["status"] not in {"dead", "exchanged"}]
    if left:
        columns = ("secret_id", "status", "refresh_token", "access_token", "why", "access_token_lives_until")
        show_list(columns, [{name: row.get(name) for name in columns} for row in left], as_json=False)


def _row(freeze: "Freeze") -> dict[str, Any]:
    return {
        "freeze_id": freeze.id,
        "kind": freeze.kind.value,
        "target": freeze.target,
        "reason": freeze.reason,
        "frozen_at": moment(freeze.created_at),
        "lifted_at": moment(freeze.lifted_at),
    }
