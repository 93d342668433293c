"""The OAuth redirect endpoints: `GET /callback/oauth2` and `/callback/oauth1` (contract 20.1, 20.3, 21, 0.7, 0.21).

Below the first, every issuer that Keyrack found has its own (RFC 9700 section 4.4, decision 42).

They need no API key: the `state`, or OAuth 1.0a's token, is the proof. What they show is a page for a person.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.consent_outcomes import NOT_CONNECTED, START_AGAIN, leads_elsewhere, outcome_page
from keyrack.api.core.middleware import caller_address, is_head, request_id_of
from keyrack.api.core.pages import (
    PRIVATE,
    Brand,
    Explanation,
    is_only_a_look,
    problem_page,
)
from keyrack.api.themes import brand_of
from keyrack.errors import BadRequest
from keyrack.oauth.callback_error import callback_error
from keyrack.service.consents.callbacks import ConsentCallbacks
from keyrack.service.consents.connect_themes import ConnectThemes
from keyrack.service.consents.values import ConsentExpired, OtherBrowser, UnknownState
from keyrack.service.tenancy.redirect_uris import CALLBACK_PATHS, OAUTH1, OAUTH2

_OURS = frozenset({"state", "code", "iss", "error", "oauth_token", "oauth_verifier"})
"""Parameters that decide what is done; the others are only shown."""
_STATES = {OAUTH2: ("state",), OAUTH1: ("oauth_token", "denied")}
_NOT_OPENED = Explanation(
    "Not opened yet",
    "Your browser loaded this page before you opened it. Nothing was used up.",
    "Reload this page.",
    mood="plain",
)
_NOBODYS = Explanation(
    NOT_CONNECTED,
    "The provider refused, and did not say which connection it is about.",
    "Start connecting again. If the same comes back, show this page to whoever looks after the connection.",
    trusted=False,
)


@get(
    [CALLBACK_PATHS[OAUTH2], f"{CALLBACK_PATHS[OAUTH2]}/{{issuer_name:str}}"],
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
        return problem_page(400, Explanation("This address is damaged", text, START_AGAIN, reference))
    params = {name: values[-1] for name, values in given.items()}
    try:
        outcome = await callbacks.finish(
            protocol,
            params,
            request.cookies,
            caller_address(request.scope),
            reference,
            request.path_params.get("issuer_name", ""),
        )
    except (UnknownState, ConsentExpired, OtherBrowser) as error:
        brand = brand_of(await themes.of_callback(protocol, params), request)
        return problem_page(400, replace(_not_ours(protocol, params, error), reference=reference), brand=brand)
    if leads_elsewhere(outcome):
        return outcome_page(outcome, reference, Brand())
    return outcome_page(outcome, reference, brand_of(await themes.of_callback(protocol, params), request))


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
