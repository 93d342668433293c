"""`/consent`: the page on our own host that a bound consent begins at (extension, contract 0.23)."""

from typing import Any
from urllib.parse import parse_qs

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.consent_outcomes import device_page
from keyrack.api.core.middleware import request_id_of
from keyrack.api.core.pages import PRIVATE, Brand, Explanation, consent_form, cookie_header, problem_page
from keyrack.api.themes import brand_of
from keyrack.errors import BadRequest
from keyrack.service.consents.connect_themes import ConnectThemes
from keyrack.service.consents.links import PATH, ConsentLinks, FormNotOurs, LinkNotUsable, LinkNotUsableNow, UnknownLink

_MAX_FIELDS = 10
_TITLES: dict[type[BadRequest], str] = {
    UnknownLink: "This link is not valid",
    FormNotOurs: "One more step",
    LinkNotUsable: "This link cannot be used any more",
    LinkNotUsableNow: "Not possible right now",
}
_REFUSALS = tuple(_TITLES)


@get(PATH, media_type=MediaType.HTML, include_in_schema=False)
async def consent_page(
    request: Request[Any, Any, Any],
    consent_links: NamedDependency[ConsentLinks],
    connect_themes: NamedDependency[ConnectThemes],
) -> Response[Any]:
    """Show who asks for what, and set the browser's cookie; nothing is used up by looking.

    A device's code is shown to the browser in which somebody has gone on, and then how it ended.
    """
    brand = brand_of(await connect_themes.of_consent_link(_link(request)), request)
    progress = await consent_links.progress(_link(request), request.cookies)
    if progress is not None:
        return device_page(progress, request, brand)
    try:
        return consent_form(await consent_links.introduce(_link(request), request.cookies), brand)
    except UnknownLink as error:
        return _refused(error, request, brand)


@post(PATH, media_type=MediaType.HTML, include_in_schema=False)
async def consent_begun(
    request: Request[Any, Any, Any],
    consent_links: NamedDependency[ConsentLinks],
    connect_themes: NamedDependency[ConnectThemes],
) -> Response[Any]:
    """Bind the browser to the consent and send it to the provider."""
    try:
        form = parse_qs((await Request.body(request)).decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        form = {}
    token = form.get("form_token", [""])[0]
    try:
        address, cookie = await consent_links.go_on(_link(request), request.cookies, token)
    except _REFUSALS as error:
        return _refused(error, request, brand_of(await connect_themes.of_consent_link(_link(request)), request))
    return Response(None, status_code=303, headers={"location": address, **PRIVATE, **cookie_header(cookie)})


def _refused(error: BadRequest, request: Request[Any, Any, Any], brand: Brand) -> Response[str]:
    said = error.said if isinstance(error, LinkNotUsableNow) else {}
    told = Explanation(_TITLES[type(error)], str(error), reference=request_id_of(request.scope), said=said)
    return problem_page(400, told, brand=brand)


def _link(request: Request[Any, Any, Any]) -> str:
    return str(request.query_params.get("link", ""))
