"""`/v2/tenants/{T}/audit-events` (extension, contract 0.16)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from keyrack.api.asked import WantedPage, Who
from keyrack.api.jsonapi import Many
from keyrack.api.openapi import PATH_ID, Refusals
from keyrack.api.query import asked_time
from keyrack.clock import iso
from keyrack.model import AuditEvent
from keyrack.service.audit_log import AuditTrail

_PER_PAGE = 50
_COLUMNS = {"actor": "actor", "action": "action", "target": "target_id"}


class AuditTarget(msgspec.Struct):
    """What was acted on."""

    type: str
    id: str | None


class AuditAttributes(msgspec.Struct):
    """Who did what to what, when, from where, and whether it was allowed."""

    at: str
    actor: str
    action: str
    target: AuditTarget
    outcome: str
    address: str | None
    request_id: str | None


class AuditEventResource(msgspec.Struct):
    """An event of the audit log."""

    id: str
    attributes: AuditAttributes
    type: Literal["audit-event"] = "audit-event"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for."""

    equal: Mapping[str, str]
    since: datetime | None
    until: datetime | None


def wanted_events(
    request: Request[Any, Any, Any],
    actor: Annotated[str | None, QueryParameter(name="actor")] = None,
    action: Annotated[str | None, QueryParameter(name="action")] = None,
    target: Annotated[str | None, QueryParameter(name="target")] = None,
    since: Annotated[str | None, QueryParameter(name="from")] = None,
    until: Annotated[str | None, QueryParameter(name="to")] = None,
) -> Wanted:
    """Read the filters of 0.16; each may also be spelled as other lists spell theirs: `filter[actor]` is `actor`."""
    given = {"actor": actor, "action": action, "target": target, "from": since, "to": until}
    found = {name: value or request.query_params.get(f"filter[{name}]") for name, value in given.items()}
    equal = {column: found[name] for name, column in _COLUMNS.items()}
    return Wanted(
        {column: value for column, value in equal.items() if value},
        asked_time(found["from"], "from"),
        asked_time(found["to"], "to"),
    )


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
    wanted: NamedDependency[Wanted],
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
        ),
    )
