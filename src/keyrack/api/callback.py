"""The OAuth redirect endpoints: `GET /callback/oauth2` and `/callback/oauth1` (contract 20.1, 20.3, 21, 0.7, 0.18).

They need no cookie and no API key: the `state`, or OAuth 1.0a's token, is the proof. What they show is a page for a
person.
"""

import secrets
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.front import caller_address, is_head, request_id_of
from keyrack.service.consent_callbacks import ConsentCallbacks, UnknownState
from keyrack.service.consent_protocols import CALLBACK_PATHS, OAUTH1, OAUTH2
from keyrack.service.consent_values import Outcome

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


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
    request: Request[Any, Any, Any], callbacks: NamedDependency[ConsentCallbacks]
) -> Response[Any]:
    """Finish a consent and show how it ended, or send the browser on to the return URL."""
    return await _finish(OAUTH2, request, callbacks)


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
    request: Request[Any, Any, Any], callbacks: NamedDependency[ConsentCallbacks]
) -> Response[Any]:
    """Finish a consent of OAuth 1.0a; as the other."""
    return await _finish(OAUTH1, request, callbacks)


async def _finish(protocol: str, request: Request[Any, Any, Any], callbacks: ConsentCallbacks) -> Response[Any]:
    if is_head(request.scope):  # what GET answers cannot be known without using the state up (contract 0.21)
        return Response(None, media_type=MediaType.HTML, headers=_PRIVATE)
    params = {name: values[-1] for name, values in request.query_params.dict().items()}
    try:
        outcome = await callbacks.finish(protocol, params, caller_address(request.scope), request_id_of(request.scope))
    except UnknownState as error:
        return _page(Outcome(str(error)), 400, "This link is not valid")
    if outcome.error is not None:
        return _page(outcome, 400, "The account was not connected")
    if outcome.return_url is not None:
        return Response(None, status_code=303, headers={"location": outcome.return_url, **_PRIVATE})
    return _page(outcome, 200, "The account is connected")


_PRIVATE = {"referrer-policy": "no-referrer", "cache-control": "no-store"}


def _page(outcome: Outcome, status: int, title: str) -> Response[str]:
    nonce = secrets.token_urlsafe(16)
    text = _pages.get_template("callback.html").render(outcome=outcome, title=title, nonce=nonce)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {**_PRIVATE, "content-security-policy": policy}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)
