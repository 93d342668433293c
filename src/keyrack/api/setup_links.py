"""One-time links for first API keys and passwords: making one, and the page `/setup` (extension, decision 24)."""

from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.body import JsonRequest
from keyrack.api.core.dependencies import Who
from keyrack.api.core.jsonapi import Single
from keyrack.api.core.middleware import caller_address, request_id_of
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.core.pages import Brand, Explanation, page, problem_page
from keyrack.api.core.rate_limits import Throttle
from keyrack.api.themes import brand_of
from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.errors import StateConflict, ValidationFailed
from keyrack.oauth.provider_text import printable
from keyrack.service.consents.connect_themes import ConnectThemes
from keyrack.service.identity.account_setup import AccountSetup, FirstKey, PersonName, SetupPage, UnknownSetupLink
from keyrack.service.identity.password_rules import SHORTEST, normal_password
from keyrack.service.tenancy.setup_links import PATH

_MAX_FIELDS = 10
_MAX_NAME = 255


class SetupLinkAttributes(msgspec.Struct):
    """Where the link leads, shown this once, and until when it is good."""

    url: str
    expires_at: str


class SetupLinkResource(msgspec.Struct):
    """A one-time link with which a user gets the first API key."""

    id: str
    attributes: SetupLinkAttributes
    type: Literal["setup-link"] = "setup-link"


@post("/v2/users/{user_id:str}/setup-links", status_code=201, tags=["Users"], responses=Refusals.of(400, 403, 404, 409))
async def create_setup_link(
    request: JsonRequest, user_id: PATH_ID, who: Who, account_setup: NamedDependency[AccountSetup]
) -> Single[SetupLinkResource]:
    """Make a one-time link with which a user gets the first API key, shown only once (extension).

    An earlier link of the user ends.
    """
    await request.action()
    made = await account_setup.create_link(who, user_id)
    shown = SetupLinkAttributes(made.url.reveal(), iso(made.link.expires_at))
    return Single(SetupLinkResource(made.link.id, shown))


@get(PATH, media_type=MediaType.HTML, include_in_schema=False)
async def setup_page(
    request: Request[Any, Any, Any],
    account_setup: NamedDependency[AccountSetup],
    connect_themes: NamedDependency[ConnectThemes],
    throttle: NamedDependency[Throttle],
) -> Response[str]:
    """Show whom a link is for; nothing is used up by looking."""
    brand = brand_of(await connect_themes.of_setup_link(_link(request)), request)
    try:
        return _asked(brand, await account_setup.introduce(_link(request)))
    except UnknownSetupLink as error:
        return _refused(brand, error, request, throttle)


@post(PATH, media_type=MediaType.HTML, include_in_schema=False)
async def account_set_up(
    request: Request[Any, Any, Any],
    account_setup: NamedDependency[AccountSetup],
    connect_themes: NamedDependency[ConnectThemes],
    throttle: NamedDependency[Throttle],
) -> Response[str]:
    """Use a link up, set a password if one is given, and show the first API key."""
    try:
        form = parse_qs((await Request.body(request)).decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        form = {}
    link, name = _link(request), PersonName(_name(form, "first_name"), _name(form, "last_name"))
    where, reference = caller_address(request.scope), request_id_of(request.scope)
    password = form.get("password", [""])[0]
    wanted = normal_password(password) if password else None
    brand = brand_of(await connect_themes.of_setup_link(link), request)  # using it up forgets whose it was
    try:
        made = await account_setup.use(link, name, where, reference, password=wanted)
    except ValidationFailed as error:
        return _asked(brand, await account_setup.introduce(link), name, str(error))
    except UnknownSetupLink as error:
        return _refused(brand, error, request, throttle)
    except StateConflict as error:
        text = f"The invite cannot be accepted at the moment: {error}."
        hint = "The link stays good. Tell whoever invited you, then open it again."
        return problem_page(409, Explanation("Not possible right now", text, hint, reference), brand=brand)
    return _shown(brand, made, has_password=bool(wanted))


def _asked(brand: Brand, told: SetupPage, name: PersonName | None = None, wrong: str = "") -> Response[str]:
    """Return the page that asks; if there is something wrong with what was answered, one that says it."""
    return page(
        "setup.html",
        400 if wrong else 200,
        "Set up your account",
        form_action="'self'",
        brand=brand,
        told=told,
        name=name,
        wrong=wrong,
        shortest=SHORTEST,
        until=f"{told.expires_at:%d %B %Y, %H:%M} UTC",
    )


def _shown(brand: Brand, made: FirstKey, *, has_password: bool) -> Response[str]:
    return page(
        "first_key.html",
        200,
        "Your first API key",
        mood="good",
        brand=brand,
        email=made.email,
        key=made.api_key.reveal(),
        base=made.base,
        has_password=has_password,
    )


def _refused(
    brand: Brand, error: UnknownSetupLink, request: Request[Any, Any, Any], throttle: Throttle
) -> Response[str]:
    throttle.wrong_link(caller_address(request.scope))
    hint = "If you have an account with this address already, sign in with it: invites can be accepted there."
    told = Explanation("This link is not valid", str(error), hint, request_id_of(request.scope))
    return problem_page(400, told, brand=brand)


def _link(request: Request[Any, Any, Any]) -> Secret:
    return Secret(str(request.query_params.get("link", "")))


def _name(form: dict[str, list[str]], field: str) -> str:
    return printable(form.get(field, [""])[0], _MAX_NAME)
