"""`/console/sign-in/...`: signing in through one's organisation, by email or by the organisation's own address."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.middleware import is_head, request_id_of
from keyrack.api.core.openapi import PATH_ID
from keyrack.api.core.pages import is_only_a_look
from keyrack.console.core.rendering import HEADERS, render
from keyrack.console.core.requests import (
    PATH,
    SIGN_IN,
    AnyRequest,
    Console,
    FormNotOurs,
    SignInNeeded,
    end_earlier_session,
    visitor_of,
    way_back,
)
from keyrack.console.core.session_cookie import SessionCookie
from keyrack.errors import NotFound, ProviderError, ProviderUnavailable, RateLimited
from keyrack.service.single_sign_on.sign_in import (
    OrganisationSignIn,
    SettingsChanged,
    SignInElsewhere,
    SignInExpired,
    SignInFailed,
    UnknownSignIn,
)
from keyrack.validation.emails import LONGEST_EMAIL
from keyrack.visible import visible

BY_EMAIL = f"{SIGN_IN}/organisation"
TESTS = f"{PATH}/settings/single-sign-on/tests"

_FORM_OLD = "This page was open for too long, or your browser keeps no cookies for this address. Try again."
_NOBODYS = (
    "No organisation signs in here with addresses like this one. Open the sign-in address that your organisation has"
    " given you, or sign in with your password."
)
_ONCE = ("state", "code", "iss", "error")
"""Parameters of a callback that mean something."""


@get("/sign-in/organisation", media_type=MediaType.HTML)
async def organisation_page(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Ask for an email, which leads to somebody's organisation."""
    if await _is_signed_in(request, console):
        return console.go(_next(request))
    return _by_email(request, console)


@post("/sign-in/organisation", media_type=MediaType.HTML)
async def organisation_found(
    request: AnyRequest, console: NamedDependency[Console], organisation_sign_in: NamedDependency[OrganisationSignIn]
) -> Response[str]:
    """Lead to the organisation of an email's domain. Whether the email has an account makes no difference."""
    try:
        fields = await console.form(request)
    except FormNotOurs:
        return _by_email(request, console, status=403, wrong=_FORM_OLD)
    email = fields.get("email", "").strip()
    try:
        console.throttle.sign_in_begun(visitor_of(request).address)
        tenant_id = await organisation_sign_in.tenant_of(email)
        if tenant_id is None:
            return _by_email(request, console, status=400, wrong=_NOBODYS, email=email)
        return await _leave(request, console, organisation_sign_in, tenant_id, login_hint=email)
    except NotFound:  # it has just been deleted
        return _by_email(request, console, status=400, wrong=_NOBODYS, email=email)
    except RateLimited as error:
        return _by_email(request, console, status=429, wrong=_wait(error), email=email, headers=_retry(error))
    except (ProviderError, ProviderUnavailable) as error:
        return _by_email(request, console, status=400, wrong=str(error), email=email)


@get("/sign-in/{tenant_id:str}", media_type=MediaType.HTML)
async def tenant_sign_in_page(
    tenant_id: PATH_ID,
    request: AnyRequest,
    console: NamedDependency[Console],
    organisation_sign_in: NamedDependency[OrganisationSignIn],
) -> Response[str]:
    """Show where the people of a tenant sign in; this address is for bookmarks.

    Nothing begins before the button is pressed: another site could else sign somebody in as somebody else.
    """
    if await _is_signed_in(request, console):
        return console.go(_next(request))
    return await _of_tenant(request, console, organisation_sign_in, tenant_id)


@post("/sign-in/{tenant_id:str}", media_type=MediaType.HTML)
async def tenant_sign_in_begun(
    tenant_id: PATH_ID,
    request: AnyRequest,
    console: NamedDependency[Console],
    organisation_sign_in: NamedDependency[OrganisationSignIn],
) -> Response[str]:
    """Begin to sign in at a tenant's provider."""
    try:
        await console.form(request)
        console.throttle.sign_in_begun(visitor_of(request).address)
        return await _leave(request, console, organisation_sign_in, tenant_id)
    except FormNotOurs:
        status, wrong, headers = 403, _FORM_OLD, None
    except RateLimited as error:
        status, wrong, headers = 429, _wait(error), _retry(error)
    except (ProviderError, ProviderUnavailable) as error:
        status, wrong, headers = 400, str(error), None
    return await _of_tenant(
        request, console, organisation_sign_in, tenant_id, status=status, wrong=wrong, headers=headers
    )


@get("/sign-in/{tenant_id:str}/callback", media_type=MediaType.HTML)
async def tenant_sign_in_finished(
    tenant_id: PATH_ID,
    request: AnyRequest,
    console: NamedDependency[Console],
    organisation_sign_in: NamedDependency[OrganisationSignIn],
) -> Response[Any]:
    """Take the provider's answer: begin a session with a cookie that is new, or say why not."""
    if is_head(request.scope) or is_only_a_look(request.headers):  # nothing is used up by looking
        return Response("", media_type=MediaType.HTML, headers=dict(HEADERS))
    cookie = console.cookie(request)
    try:
        finished = await organisation_sign_in.finish(
            tenant_id, _answer(request), None if cookie is None else cookie.value, visitor_of(request)
        )
    except SignInFailed as error:
        return _failed(request, console, tenant_id, str(error), said=": ".join(error.said.values()))
    except (UnknownSignIn, SignInExpired, SignInElsewhere, SettingsChanged) as error:
        if isinstance(error, UnknownSignIn) and await _is_signed_in(request, console):  # the page was reloaded
            return console.go(PATH)
        return _failed(request, console, tenant_id, str(error))
    if finished.token is None:
        return console.go(f"{TESTS}/{finished.test_id}")
    await end_earlier_session(request, console)
    made = SessionCookie(finished.token, console.new_cookie().secure)
    return console.go(way_back(finished.next), made.header())


def leaving(console: Console, address: str, headers: dict[str, str] | None = None) -> Response[str]:
    """Return the page that sends the browser on to a provider.

    A redirect would be an answer to a form, and some browsers hold everything that follows such an answer against the
    `form-action` of the page that had the form, wherever the provider leads. So this page goes on by itself.
    """
    return render(
        "identity/leaving.html", headers=headers, root=console.root, now=console.sign_in.now(), address=address
    )


def _answer(request: AnyRequest) -> dict[str, str]:
    """Return the parameters of a provider's answer.

    Raises:
        SignInFailed: one of those that count comes twice, with different values.
    """
    given = request.query_params.dict()
    if any(len(set(given.get(name, []))) > 1 for name in _ONCE):
        raise SignInFailed("The address of this page is damaged. Begin again.", {})
    return {name: values[-1] for name, values in given.items()}


async def _leave(
    request: AnyRequest,
    console: Console,
    organisation_sign_in: OrganisationSignIn,
    tenant_id: str,
    login_hint: str | None = None,
) -> Response[str]:
    cookie = console.cookie(request)
    if cookie is None:  # the form had it
        raise FormNotOurs
    return leaving(
        console, await organisation_sign_in.begin(tenant_id, cookie.value, _next(request), login_hint or None)
    )


def _by_email(
    request: AnyRequest,
    console: Console,
    *,
    status: int = 200,
    wrong: str = "",
    email: str = "",
    headers: dict[str, str] | None = None,
) -> Response[str]:
    return _form(
        request,
        console,
        "identity/organisation.html",
        status,
        headers,
        wrong=wrong,
        email=visible(email[:LONGEST_EMAIL]),
        organisation=None,
        action=BY_EMAIL,
    )


async def _of_tenant(
    request: AnyRequest,
    console: Console,
    organisation_sign_in: OrganisationSignIn,
    tenant_id: str,
    *,
    status: int = 200,
    wrong: str = "",
    headers: dict[str, str] | None = None,
) -> Response[str]:
    found = await organisation_sign_in.organisation(tenant_id)
    action = f"{SIGN_IN}/{found.tenant_id}"
    return _form(
        request,
        console,
        "identity/organisation.html",
        status,
        headers,
        wrong=wrong,
        email="",
        organisation=found,
        action=action,
    )


def _form(
    request: AnyRequest,
    console: Console,
    template: str,
    status: int,
    headers: dict[str, str] | None,
    **values: Any,
) -> Response[str]:
    cookie = console.cookie(request)
    made = cookie or console.new_cookie()
    return render(
        template,
        status,
        headers={**(made.header() if cookie is None else {}), **(headers or {})},
        root=console.root,
        now=console.sign_in.now(),
        next="" if _next(request) == PATH else _next(request),
        form_token=made.form_token,
        **values,
    )


def _failed(request: AnyRequest, console: Console, tenant_id: str, told: str, said: str = "") -> Response[str]:
    return render(
        "identity/organisation_failed.html",
        400,
        root=console.root,
        now=console.sign_in.now(),
        told=told,
        said=said,
        again=f"{SIGN_IN}/{tenant_id}",
        reference=request_id_of(request.scope),
    )


def _wait(error: RateLimited) -> str:
    return f"Too many attempts. Wait {error.retry_after} seconds, then try again."


def _retry(error: RateLimited) -> dict[str, str]:
    return {"retry-after": str(error.retry_after)}


async def _is_signed_in(request: AnyRequest, console: Console) -> bool:
    try:
        await console.signed_in(request)
    except SignInNeeded:
        return False
    return True


def _next(request: AnyRequest) -> str:
    """Return where somebody wanted to go: a page of ours, whatever the address says."""
    return way_back(str(request.query_params.get("next", "")))
