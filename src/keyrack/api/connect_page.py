"""`/connect`: the page that a connect link leads to, and `/connect.js`, which opens it in a popup (decision 26)."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.consent_outcomes import device_page
from keyrack.api.core.middleware import caller_address, request_id_of
from keyrack.api.core.pages import PRIVATE, Brand, Explanation, consent_form, cookie_header, problem_page
from keyrack.api.core.rate_limits import Throttle
from keyrack.api.themes import brand_of
from keyrack.errors import BadRequest
from keyrack.service.consents.connect_links import PATH
from keyrack.service.consents.connect_page import (
    ConnectPage,
    OpenedElsewhere,
    StillConnecting,
    UnknownConnectLink,
)
from keyrack.service.consents.connect_themes import ConnectThemes
from keyrack.service.consents.links import FormNotOurs, LinkNotUsable, LinkNotUsableNow

SCRIPT_PATH = "/connect.js"
_SCRIPT = Path(__file__).parent / "static" / "connect.js"
_MAX_FIELDS = 10
_TITLES: dict[type[BadRequest], str] = {
    UnknownConnectLink: "This link is not valid",
    OpenedElsewhere: "This link was opened in another browser",
    LinkNotUsable: "This link cannot be used any more",
    LinkNotUsableNow: "Not possible right now",
    StillConnecting: "Still connecting",
    FormNotOurs: "One more step",
}
_REFUSALS = tuple(_TITLES)


@get(PATH, media_type=MediaType.HTML, include_in_schema=False)
async def connect_page(
    request: Request[Any, Any, Any],
    connect_page: NamedDependency[ConnectPage],
    connect_themes: NamedDependency[ConnectThemes],
    throttle: NamedDependency[Throttle],
) -> Response[Any]:
    """Show who asks for what, and set the browser's cookie; nothing is used up by looking.

    A device's code is shown to the browser in which somebody has gone on, and then how it ended.
    """
    brand = brand_of(await connect_themes.of_connect_link(_link(request)), request)
    progress = await connect_page.progress(_link(request), request.cookies)
    if progress is not None:
        return device_page(progress, request, brand)
    try:
        return consent_form(await connect_page.introduce(_link(request), request.cookies), brand)
    except _REFUSALS as error:
        return _refused(error, request, throttle, brand)


@post(PATH, media_type=MediaType.HTML, include_in_schema=False)
async def connect_begun(
    request: Request[Any, Any, Any],
    connect_page: NamedDependency[ConnectPage],
    connect_themes: NamedDependency[ConnectThemes],
    throttle: NamedDependency[Throttle],
) -> Response[Any]:
    """Give the link to the browser and send it to the provider."""
    try:
        form = parse_qs((await Request.body(request)).decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        form = {}
    token, where = form.get("form_token", [""])[0], caller_address(request.scope)
    try:
        address, cookie = await connect_page.go_on(
            _link(request), request.cookies, token, where, request_id_of(request.scope)
        )
    except _REFUSALS as error:
        brand = brand_of(await connect_themes.of_connect_link(_link(request)), request)
        return _refused(error, request, throttle, brand)
    return Response(None, status_code=303, headers={"location": address, **PRIVATE, **cookie_header(cookie)})


@get(SCRIPT_PATH, include_in_schema=False)
async def connect_script() -> Response[bytes]:
    """Return the script that a page of any origin can load to open a link in a popup; it holds nothing of anybody."""
    headers = {
        "cache-control": "public, max-age=3600",
        "access-control-allow-origin": "*",  # so that a page can insist on its hash (Subresource Integrity)
        "cross-origin-resource-policy": "cross-origin",
    }
    return Response(_script(), media_type="text/javascript", headers=headers)


def _refused(error: BadRequest, request: Request[Any, Any, Any], throttle: Throttle, brand: Brand) -> Response[str]:
    if isinstance(error, UnknownConnectLink):
        throttle.wrong_link(caller_address(request.scope))
    said = error.said if isinstance(error, LinkNotUsableNow) else {}
    told = Explanation(_TITLES[type(error)], str(error), reference=request_id_of(request.scope), said=said)
    return problem_page(400, told, brand=brand)


def _link(request: Request[Any, Any, Any]) -> str:
    return str(request.query_params.get("link", ""))


@cache
def _script() -> bytes:
    return _SCRIPT.read_bytes()
