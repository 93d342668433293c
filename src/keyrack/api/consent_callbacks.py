"""The OAuth redirect endpoints: `GET /callback/oauth2` and `/callback/oauth1` (contract 20.1, 20.3, 21, 0.7, 0.21).

They need no API key: the `state`, or OAuth 1.0a's token, is the proof. What they show is a page for a person.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.middleware import caller_address, is_head, request_id_of
from keyrack.api.core.pages import (
    PRIVATE,
    Brand,
    Explanation,
    PageReport,
    cookie_header,
    is_only_a_look,
    page,
    problem_page,
)
from keyrack.api.themes import brand_of
from keyrack.errors import BadRequest
from keyrack.oauth.callback_error import callback_error
from keyrack.service.consents.callbacks import ConsentCallbacks
from keyrack.service.consents.connect_themes import ConnectThemes
from keyrack.service.consents.protocols import CALLBACK_PATHS, OAUTH1, OAUTH2
from keyrack.service.consents.values import ConsentExpired, ConsentOutcome, OtherBrowser, UnknownState

_OURS = frozenset({"state", "code", "iss", "error", "oauth_token", "oauth_verifier"})
"""Parameters that decide what is done; the others are only shown."""
_STATES = {OAUTH2: ("state",), OAUTH1: ("oauth_token", "denied")}
_CONNECTED = "The account is connected"
_NOT_CONNECTED = "The account was not connected"
_START_AGAIN = "Nothing was stored. You can start connecting again from where you came from."
_NOT_OPENED = Explanation(
    "Not opened yet",
    "Your browser loaded this page before you opened it. Nothing was used up.",
    "Reload this page.",
    mood="plain",
)
_STILL_CONNECTING = Explanation(
    "Still connecting",
    "This connection is being finished already: this page was opened a second time.",
    "It looks again by itself; nothing is done twice.",
    mood="plain",
)
_NOBODYS = Explanation(
    _NOT_CONNECTED,
    "The provider refused, and did not say which connection it is about.",
    "Start connecting again. If the same comes back, show this page to whoever looks after the connection.",
    trusted=False,
)
_LOOK_AGAIN = 3
"""Seconds after which a browser looks again whether another delivery is done."""


@get(
    CALLBACK_PATHS[OAUTH2],
    tags=["Callback"],
    media_type=MediaType.HTML,
    security=[{}],
    summary="OAuth redirect",
    description="Where authorization servers send the browser back to, with `code` and `state`, or `error`.",
    include_in_schema=False,
)
async def oauth2_callback(
    request: Request[Any, Any, Any],
    callbacks: NamedDependency[ConsentCallbacks],
    connect_themes: NamedDependency[ConnectThemes],
) -> Response[Any]:
    """Finish a consent and show how it ended, or send the browser on to the return URL."""
    return await _finish(OAUTH2, request, callbacks, connect_themes)


@get(
    CALLBACK_PATHS[OAUTH1],
    tags=["Callback"],
    media_type=MediaType.HTML,
    security=[{}],
    summary="OAuth 1.0a redirect",
    description="Where OAuth 1.0a providers send the browser back to, with `oauth_token` and `oauth_verifier`.",
    include_in_schema=False,
)
async def oauth1_callback(
    request: Request[Any, Any, Any],
    callbacks: NamedDependency[ConsentCallbacks],
    connect_themes: NamedDependency[ConnectThemes],
) -> Response[Any]:
    """Finish a consent of OAuth 1.0a; as the other."""
    return await _finish(OAUTH1, request, callbacks, connect_themes)


async def _finish(
    protocol: str, request: Request[Any, Any, Any], callbacks: ConsentCallbacks, themes: ConnectThemes
) -> Response[Any]:
    if is_head(request.scope):  # what GET answers cannot be known without using the state up (contract 0.21)
        return Response(None, media_type=MediaType.HTML, headers=PRIVATE)
    if is_only_a_look(request.headers):
        return problem_page(400, _NOT_OPENED)
    given, reference = request.query_params.dict(), request_id_of(request.scope)
    if twice := sorted(name for name, values in given.items() if name in _OURS and len(set(values)) > 1):
        text = f"It has {' and '.join(twice)} more than once, with different values. Nothing was done."
        return problem_page(400, Explanation("This address is damaged", text, _START_AGAIN, reference))
    params = {name: values[-1] for name, values in given.items()}
    try:
        outcome = await callbacks.finish(protocol, params, request.cookies, caller_address(request.scope), reference)
    except (UnknownState, ConsentExpired, OtherBrowser) as error:
        brand = brand_of(await themes.of_callback(protocol, params), request)
        return problem_page(400, replace(_not_ours(protocol, params, error), reference=reference), brand=brand)
    if _leads_elsewhere(outcome):
        return _ended(outcome, reference, Brand())
    return _ended(outcome, reference, brand_of(await themes.of_callback(protocol, params), request))


def _leads_elsewhere(outcome: ConsentOutcome) -> bool:
    """Tell whether the browser is sent on at once, without a page."""
    done = outcome.error is None and outcome.report is None and not outcome.under_way
    return done and outcome.return_url is not None


def _ended(outcome: ConsentOutcome, reference: str | None, brand: Brand) -> Response[Any]:
    headers, report = cookie_header(outcome.cookie), _report(outcome)
    if outcome.under_way:
        return problem_page(202, _STILL_CONNECTING, {"refresh": str(_LOOK_AGAIN)}, brand=brand)
    if outcome.error is not None:
        told = Explanation(_NOT_CONNECTED, outcome.error, _START_AGAIN, reference, outcome.said)
        return problem_page(400, replace(told, return_url=outcome.return_url), headers, report, brand)
    shown = partial(page, "callback.html", 200, _CONNECTED, mood="good", headers=headers, brand=brand)
    if report is not None:
        return shown(script="report.js", report=report)
    if outcome.return_url is not None:
        return Response(None, status_code=303, headers={"location": outcome.return_url, **PRIVATE, **headers})
    return shown(script="close.js", report=None)


def _report(outcome: ConsentOutcome) -> PageReport | None:
    told = outcome.report
    if told is None:
        return None
    return PageReport(told.origin, json.dumps(dict(told.facts)), outcome.return_url)


def _not_ours(protocol: str, params: Mapping[str, str], error: BadRequest) -> Explanation:
    """Say why a callback ends nothing; what a provider says that names no consent is shown, but not believed."""
    said = callback_error(params)
    if isinstance(error, OtherBrowser):
        return Explanation("This is another browser", str(error))
    if isinstance(error, ConsentExpired):
        return Explanation("That took too long", str(error), said=said)
    if said and not any(params.get(name) for name in _STATES[protocol]):
        return replace(_NOBODYS, said=said)
    return Explanation("This link is not valid", str(error), said=said, trusted=False)
