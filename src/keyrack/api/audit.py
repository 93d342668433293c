"""`/v2/tenants/{T}/audit-events` (extension, contract 0.16)."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from keyrack.api.asked import WantedPage, Who
from keyrack.api.jsonapi import Many
from keyrack.api.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.errors import Problem, ValidationFailed
from keyrack.model import AuditEvent
from keyrack.service.audit_log import AuditTrail

_PER_PAGE = 50


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


@get("/v2/tenants/{tenant_id:str}/audit-events", tags=["Audit"], responses=Refusals.of(400, 403, 404))
async def audit_events(  # noqa: PLR0913, PLR0917 - one parameter for each query parameter
    tenant_id: PATH_ID,
    who: Who,
    audit_trail: NamedDependency[AuditTrail],
    page: WantedPage,
    actor: Annotated[str | None, QueryParameter(name="filter[actor]")] = None,
    action: Annotated[str | None, QueryParameter(name="filter[action]")] = None,
    target: Annotated[str | None, QueryParameter(name="filter[target]")] = None,
    since: Annotated[str | None, QueryParameter(name="filter[from]")] = None,
    until: Annotated[str | None, QueryParameter(name="filter[to]")] = None,
) -> Many[AuditEventResource]:
    """List a tenant's audit events, oldest first."""
    paged = page.or_default(_PER_PAGE)
    given = {"actor": actor, "action": action, "target_id": target}
    equal = {name: value for name, value in given.items() if value}
    times = (_time(since, "filter[from]"), _time(until, "filter[to]"))
    found, total = await audit_trail.page(who, tenant_id, equal, *times, limit=paged.limit, offset=paged.offset)
    return Many([_resource(event) for event in found], paged.meta(total))


def _time(text: str | None, parameter: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        in_range = moment.tzinfo is not None and moment.timestamp() > 0
    except (ValueError, OverflowError):
        in_range = False
    if not in_range:
        raise ValidationFailed(Problem("must be a time such as 2026-01-31T12:00:00Z", parameter=parameter))
    return moment


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
