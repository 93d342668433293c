"""`/console/account/api-keys`: one's own API keys, each shown once."""

from datetime import UTC, date, datetime, time, timedelta

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from msgspec import Struct

from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.once import FIELD, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.errors import KeyrackError, Problem, QuotaExceeded, StateConflict, ValidationFailed
from keyrack.service.identity.users import Users
from keyrack.validation.fields import Text

_PATH = "/console/account"
_FIELDS = {"/name": "name", "/data/attributes/expires_at": "expires_on"}


class _Key(Struct):
    """What the form for a new key asks for."""

    name: Text


@get("/account/api-keys/new", media_type=MediaType.HTML)
async def api_key_form(visit: NamedDependency[Visit]) -> Response[str]:
    """Show the form for a new API key."""
    return _form(visit, {"name": "", "expires_on": ""}, new_once(visit))


@post("/account/api-keys/new", media_type=MediaType.HTML)
async def api_key_created(visit: NamedDependency[Visit], users: NamedDependency[Users]) -> Response[str]:
    """Make an API key, and show it this once; a form that is sent twice makes one key, and shows it."""
    form = await visit.form()
    once, typed = once_of(visit, form), {"name": form.text("name"), "expires_on": form.text("expires_on")}
    body = UnvalidatedBody[_Key]({"name": typed["name"]}, _Key)
    wanted = body.then(lambda given: (given.name, _ends(typed["expires_on"])))
    try:
        stored, key = await users.create_api_key(visit.who, wanted, once)
    except (ValidationFailed, QuotaExceeded, StateConflict) as error:
        return _form(visit, typed, form[FIELD], error)
    return visit.page("identity/api_key.html", key=stored, clear=key.reveal())


@get("/account/api-keys/{key_id:str}/revoke", media_type=MediaType.HTML)
async def api_key_revoking(
    visit: NamedDependency[Visit], key_id: PATH_ID, users: NamedDependency[Users]
) -> Response[str]:
    """Say which key would stop working, and when it was used last."""
    return visit.page("identity/api_key_revoke.html", key=await users.api_key(visit.who, key_id))


@post("/account/api-keys/{key_id:str}/revoke", media_type=MediaType.HTML)
async def api_key_revoked(
    visit: NamedDependency[Visit], key_id: PATH_ID, users: NamedDependency[Users]
) -> Response[str]:
    """Revoke one of one's own API keys."""
    await visit.form()
    await users.revoke_api_key(visit.who, key_id)
    return visit.go(_PATH, done="key")


def _ends(day: str) -> datetime | None:
    """Return when a key ends that is good until a day: when that day is over.

    Raises:
        ValidationFailed: it is no day.
    """
    if not day:
        return None
    try:
        return datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        detail = "write a day such as 2026-01-31, or nothing"
        raise ValidationFailed(Problem(detail, "/data/attributes/expires_at")) from None


def _form(visit: Visit, typed: dict[str, str], once: str, error: KeyrackError | None = None) -> Response[str]:
    wrong, others = problems_by_field(error, _FIELDS)
    status = 200 if error is None else 400
    return visit.page("identity/api_key_form.html", status=status, typed=typed, once=once, wrong=wrong, others=others)
