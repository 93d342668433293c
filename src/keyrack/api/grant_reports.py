"""`/v2/tenants/{T}/idle-grants` and `/ending-grants`: which grants nobody reads, and which will end (extension)."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from keyrack.api.core.dependencies import Who
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.errors import Problem, ValidationFailed
from keyrack.ids import is_id
from keyrack.model.grant_reports import EndingGrant, GrantEnd, ReportedGrant
from keyrack.service.secrets.grant_reports import ENDING_DAYS, IDLE_DAYS, MOST_DAYS, GrantReports

T = TypeVar("T")

_LIMIT, _MOST = 100, 500


class ReportMeta(msgspec.Struct, frozen=True):
    """Where the next part of the report begins: give it as `page[after]`; null: there is no more."""

    after: str | None


class Report(msgspec.Struct, Generic[T], frozen=True):
    """Part of a report. It may be empty, and the next one not."""

    data: list[T]
    meta: ReportMeta


class IdleGrantAttributes(msgspec.Struct, frozen=True):
    """A connection that was not read; `last_used_at` is null if it never was."""

    name: str | None
    workspace_id: str
    auth_client_id: str
    auth_client_name: str
    state: str
    created_at: str
    connected_at: str | None
    last_used_at: str | None


class IdleGrant(msgspec.Struct, frozen=True):
    """An auth secret that nobody reads; its id."""

    id: str
    attributes: IdleGrantAttributes
    type: Literal["idle-grant"] = "idle-grant"


class ForecastEnd(msgspec.Struct, frozen=True):
    """Why and when a connection will end, how sure that is (`known` or `guess`), and what to do."""

    reason: str
    at: str
    basis: str
    says: str
    remedy: str
    documentation: str | None


class EndingGrantAttributes(msgspec.Struct, frozen=True):
    """A connection that will end, and the reasons, the earliest first."""

    name: str | None
    workspace_id: str
    auth_client_id: str
    auth_client_name: str
    last_used_at: str | None
    ends: list[ForecastEnd]


class EndingGrantResource(msgspec.Struct, frozen=True):
    """An auth secret that will end; its id."""

    id: str
    attributes: EndingGrantAttributes
    type: Literal["ending-grant"] = "ending-grant"


@dataclass(frozen=True, slots=True)
class WantedReport:
    """Which part of a report is asked for. `days` is None where nobody says."""

    days: int | None
    after: str
    limit: int


def wanted_report(
    days: Annotated[
        str | None, QueryParameter(name="filter[days]", description="For, or within, how many days; 1 to 3650.")
    ] = None,
    after: Annotated[
        str | None, QueryParameter(name="page[after]", description="`meta.after` of the part before.")
    ] = None,
    limit: Annotated[
        str | None, QueryParameter(name="page[limit]", description="How many at most; 100, and no more than 500.")
    ] = None,
) -> WantedReport:
    """Read the query.

    Raises:
        ValidationFailed: a number or an id is none.
    """
    if after and not is_id(after):
        raise ValidationFailed(Problem("must be meta.after of the part before", parameter="page[after]"))
    wanted_days = _number(days, "filter[days]", MOST_DAYS)
    return WantedReport(wanted_days, after or "", _number(limit, "page[limit]", _MOST) or _LIMIT)


def _number(text: str | None, parameter: str, most: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise ValidationFailed(Problem(f"must be a whole number from 1 to {most}", parameter=parameter))
    return int(text)


_report = partial(
    get,
    tags=["Auth secrets"],
    responses=Refusals.of(400, 403, 404),
    dependencies={"wanted": Provide(wanted_report, sync_to_thread=False)},
)


@_report("/v2/tenants/{tenant_id:str}/idle-grants")
async def idle_grants(
    tenant_id: PATH_ID, who: Who, grant_reports: NamedDependency[GrantReports], wanted: NamedDependency[WantedReport]
) -> Report[IdleGrant]:
    """List the auth secrets of a tenant that nobody has read for `filter[days]` days (90), a part at a time."""
    found = await grant_reports.idle(
        who, tenant_id, days=wanted.days or IDLE_DAYS, after=wanted.after, limit=wanted.limit
    )
    return Report([_idle(each) for each in found.rows], ReportMeta(found.after))


@_report("/v2/tenants/{tenant_id:str}/ending-grants")
async def ending_grants(
    tenant_id: PATH_ID, who: Who, grant_reports: NamedDependency[GrantReports], wanted: NamedDependency[WantedReport]
) -> Report[EndingGrantResource]:
    """List the auth secrets of a tenant that will end within `filter[days]` days (30), why, and what to do."""
    found = await grant_reports.ending(
        who, tenant_id, days=wanted.days or ENDING_DAYS, after=wanted.after, limit=wanted.limit
    )
    return Report([_ending(each) for each in found.rows], ReportMeta(found.after))


def _idle(grant: ReportedGrant) -> IdleGrant:
    return IdleGrant(
        grant.id,
        IdleGrantAttributes(
            grant.name or None,
            grant.workspace_id,
            grant.auth_client_id,
            grant.client_name,
            grant.state,
            iso(grant.created_at),
            _iso(grant.connected_at),
            _iso(grant.last_used_at),
        ),
    )


def _ending(each: EndingGrant) -> EndingGrantResource:
    grant = each.grant
    return EndingGrantResource(
        grant.id,
        EndingGrantAttributes(
            grant.name or None,
            grant.workspace_id,
            grant.auth_client_id,
            grant.client_name,
            _iso(grant.last_used_at),
            [_end(end) for end in each.ends],
        ),
    )


def _end(end: GrantEnd) -> ForecastEnd:
    return ForecastEnd(end.reason.value, iso(end.at), end.basis.value, end.says, end.remedy, end.documentation)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
