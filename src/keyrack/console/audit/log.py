"""`/console/audit`: the audit log of the tenant, searched, kept as an address, and exported."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.response import Stream

from keyrack.clock import epoch_ms
from keyrack.console.audit.export import FORMATS, exported
from keyrack.console.audit.words import OUTCOMES, TARGET_TYPES, thing, what_happened
from keyrack.console.core.lists import ROWS
from keyrack.console.core.rendering import HEADERS
from keyrack.console.core.visit import Visit
from keyrack.errors import BadRequest, NotFound
from keyrack.ids import is_id
from keyrack.model.audit import AuditEvent, AuditFilter, AuditPosition
from keyrack.model.windows import Beside
from keyrack.service.audit.log import AuditTrail
from keyrack.service.authz.access import home
from keyrack.validation.times import parse_time

_EQUAL = ("actor", "action", "target_type", "target_id", "outcome", "address", "request_id")
_TIMES = ("since", "until")
_DIGITS = 14
"""Of a time in milliseconds before the year 5138."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@get("/audit", media_type=MediaType.HTML)
async def audit(visit: NamedDependency[Visit], audit_trail: NamedDependency[AuditTrail]) -> Response[str]:
    """Show who did what, newest first."""
    given = {name: visit.asked(name) for name in (*_EQUAL, *_TIMES)}
    times, wrong = _times(given)
    wanted = replace(_equal(given), since=times["since"], until=times["until"])
    asked = visit.beside()
    beside = Beside(_position(asked.key), asked.backwards)
    if beside.key is None:
        beside = Beside()
    found = await audit_trail.search(visit.who, home(visit.who), wanted, beside, limit=ROWS)
    return visit.page(
        "audit/log.html",
        chain=await audit_trail.chain_state(visit.who, home(visit.who)),
        events=found.rows,
        turner=visit.turner(found, _key),
        given=given,
        wrong=wrong,
        is_narrowed=any(given.values()),
        query=urlencode({name: value for name, value in given.items() if value}),
        what_happened=what_happened,
        thing=thing,
        outcomes=OUTCOMES,
        target_types=[(each, thing(each)) for each in TARGET_TYPES],
    )


@get("/audit/export")
async def audit_exported(visit: NamedDependency[Visit], audit_trail: NamedDependency[AuditTrail]) -> Stream:
    """Send all events that are found, oldest first, as a file; with `format=chain` the whole log with its hash chain.

    Raises:
        NotFound: there is no such format.
        BadRequest: the period cannot be read; nobody gets more than was asked for.
    """
    if visit.asked("format") == "chain":
        lines = await audit_trail.export_chain(visit.who, home(visit.who))
        return _file(visit, lines, "application/x-ndjson", "chain.jsonl")
    form = FORMATS.get(visit.asked("format"))
    if form is None:
        raise NotFound
    given = {name: visit.asked(name) for name in (*_EQUAL, *_TIMES)}
    times, wrong = _times(given)
    if wrong:
        raise BadRequest(f"the period cannot be read: {', '.join(wrong)}")
    wanted = replace(_equal(given), since=times["since"], until=times["until"])
    first, later = await audit_trail.export(visit.who, home(visit.who), wanted)
    return _file(visit, exported(form, first, later), form.media_type, form.ending)


def _file(visit: Visit, content: AsyncIterator[bytes], media_type: str, ending: str) -> Stream:
    name = f"audit-{visit.console.sign_in.now():%Y-%m-%d}.{ending}"
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"', "x-content-type-options": "nosniff"}
    return Stream(content, media_type=media_type, headers=headers)


def _equal(given: Mapping[str, str]) -> AuditFilter:
    return AuditFilter(
        actor=given["actor"] or None,
        action=given["action"] or None,
        target_type=given["target_type"] or None,
        target_id=given["target_id"] or None,
        outcome=given["outcome"] or None,
        address=given["address"] or None,
        request_id=given["request_id"] or None,
    )


def _times(given: Mapping[str, str]) -> tuple[dict[str, datetime | None], dict[str, str]]:
    """Return the period that is asked for, and what is wrong with it; a day is meant from its beginning to its end."""
    found: dict[str, datetime | None] = {}
    wrong: dict[str, str] = {}
    for name in _TIMES:
        text = given[name]
        found[name] = _moment(text, ends=name == "until") if text else None
        if text and found[name] is None:
            wrong[name] = "Write a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z."
    return found, wrong


def _moment(text: str, *, ends: bool) -> datetime | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return parse_time(text)
    try:
        return datetime.combine(day, time(), UTC) + timedelta(days=1 if ends else 0)
    except OverflowError:
        return None


def _key(event: AuditEvent) -> str:
    return f"{epoch_ms(event.at)}-{event.id}"


def _position(key: str | None) -> AuditPosition | None:
    at, _, event_id = (key or "").partition("-")
    if not (at.isascii() and at.isdigit() and len(at) <= _DIGITS and is_id(event_id)):
        return None
    return AuditPosition(_EPOCH + timedelta(milliseconds=int(at)), event_id)
