"""`/v2/tenants/{T}/audit-events` (extension, contract 0.16)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from keyrack.api.core.dependencies import WantedPage, Who
from keyrack.api.core.jsonapi import Many
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.core.query import asked_time
from keyrack.clock import iso
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.audit import AuditEvent
from keyrack.service.audit.log import AuditTrail

_PER_PAGE = 50
_COLUMNS = {"actor": "actor", "action": "action", "target": "target_id"}


class AuditTarget(msgspec.Struct):
    """What was acted on."""

    type: str
    id: str | None


class AuditAttributes(msgspec.Struct):
    """Who did what to what, when, from where, and whether it was allowed.

    `times` and `first_at` are of what is counted by the hour, such as reads of secrets; `at` is the last time then.
    """

    at: str
    actor: str
    action: str
    target: AuditTarget
    outcome: str
    address: str | None
    request_id: str | None
    times: int | msgspec.UnsetType = msgspec.UNSET
    first_at: str | msgspec.UnsetType = msgspec.UNSET


class AuditMeta(msgspec.Struct):
    """The event's place in the hash chain of its log, and the hash of its record there (docs/audit.md)."""

    sequence: int
    hash: str


class AuditEventResource(msgspec.Struct):
    """An event of the audit log; `meta` as soon as it has a place in the chain."""

    id: str
    attributes: AuditAttributes
    meta: AuditMeta | msgspec.UnsetType = msgspec.UNSET
    type: Literal["audit-event"] = "audit-event"


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are asked for."""

    equal: Mapping[str, str]
    since: datetime | None
    until: datetime | None


def wanted_events(  # noqa: PLR0913, PLR0917 - one parameter for each query parameter
    actor: Annotated[
        str | None, QueryParameter(name="actor", description="Who did it: an email, or the name of an account.")
    ] = None,
    action: Annotated[
        str | None, QueryParameter(name="action", description="What was done, such as `oauth-client.create`.")
    ] = None,
    target: Annotated[str | None, QueryParameter(name="target", description="The id of what it was done to.")] = None,
    since: Annotated[
        str | None, QueryParameter(name="from", description="Events at or after this time, ISO 8601 with an offset.")
    ] = None,
    until: Annotated[
        str | None, QueryParameter(name="to", description="Events before this time, ISO 8601 with an offset.")
    ] = None,
    actor_filter: Annotated[
        str | None, QueryParameter(name="filter[actor]", description="The same as `actor`.")
    ] = None,
    action_filter: Annotated[
        str | None, QueryParameter(name="filter[action]", description="The same as `action`.")
    ] = None,
    target_filter: Annotated[
        str | None, QueryParameter(name="filter[target]", description="The same as `target`.")
    ] = None,
    since_filter: Annotated[str | None, QueryParameter(name="filter[from]", description="The same as `from`.")] = None,
    until_filter: Annotated[str | None, QueryParameter(name="filter[to]", description="The same as `to`.")] = None,
) -> AuditFilter:
    """Read the filters of 0.16; each may also be spelled as other lists spell theirs: `filter[actor]` is `actor`.

    Raises:
        ValidationFailed: a time is none, or both spellings of one filter say different things.
    """
    given = {
        "actor": (actor, actor_filter),
        "action": (action, action_filter),
        "target": (target, target_filter),
        "from": (since, since_filter),
        "to": (until, until_filter),
    }
    found = {name: _either(name, *spellings) for name, spellings in given.items()}
    since_name, until_name = (name if given[name][0] else f"filter[{name}]" for name in ("from", "to"))
    return AuditFilter(
        {column: value for name, column in _COLUMNS.items() if (value := found[name])},
        asked_time(found["from"], since_name),
        asked_time(found["to"], until_name),
    )


def _either(name: str, plain: str | None, bracketed: str | None) -> str | None:
    if plain and bracketed and plain != bracketed:
        raise ValidationFailed(Problem(f"{name} and filter[{name}] have different values", parameter=f"filter[{name}]"))
    return plain or bracketed


@get(
    "/v2/tenants/{tenant_id:str}/audit-events",
    tags=["Audit"],
    responses=Refusals.of(400, 403, 404),
    dependencies={"wanted": Provide(wanted_events, sync_to_thread=False)},
)
async def audit_events(
    tenant_id: PATH_ID,
    who: Who,
    audit_trail: NamedDependency[AuditTrail],
    page: WantedPage,
    wanted: NamedDependency[AuditFilter],
) -> Many[AuditEventResource]:
    """List a tenant's audit events, oldest first; filters `actor`, `action`, `target`, `from`, `to`."""
    paged = page.or_default(_PER_PAGE)
    found, total = await audit_trail.page(
        who, tenant_id, wanted.equal, wanted.since, wanted.until, limit=paged.limit, offset=paged.offset
    )
    return Many([_resource(event) for event in found], paged.meta(total))


def _resource(event: AuditEvent) -> AuditEventResource:
    return AuditEventResource(
        event.id,
        AuditAttributes(
            iso(event.at),
            event.actor,
            event.action,
            AuditTarget(event.target_type, event.target_id),
            event.outcome,
            event.address,
            event.request_id,
            msgspec.UNSET if event.times is None else event.times,
            msgspec.UNSET if event.first_at is None else iso(event.first_at),
        ),
        msgspec.UNSET if event.sequence is None else AuditMeta(event.sequence, (event.hash or b"").hex()),
    )
