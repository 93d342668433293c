"""`/console/workspaces/{W}/consents/{C}`: the way to the provider, and how the consent ended, however it did."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.api.core.qr_code import qr_code
from keyrack.console.core.rendering import HEADERS
from keyrack.console.core.requests import LIVE
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.workspace_place import WorkspacePlace
from keyrack.model.consents import Consent, ConsentStatus, DeviceCodes
from keyrack.service.consents.own_browser import OwnBrowserConsents, OwnConsent


@get("/workspaces/{workspace_id:str}/consents/{consent_id:str}", media_type=MediaType.HTML)
async def consent_page(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    consent_id: PATH_ID,
    own_browser_consents: NamedDependency[OwnBrowserConsents],
) -> Response[str]:
    """Show how far one's own consent is.

    While it is under way, the page asks again by itself. Once it is over, it is told to go here anew: the result is
    another page, without the link to the provider.
    """
    found = await own_browser_consents.look(visit.who, place.id, consent_id, visit.request.cookies)
    consent = found.consent
    over = consent.status in (ConsentStatus.completed, ConsentStatus.failed)
    if over and LIVE in visit.request.headers:
        headers = {**HEADERS, "hx-redirect": f"{visit.console.root}{place.consent_path(consent.id)}"}
        return Response("", status_code=200, media_type=MediaType.HTML, headers=headers)
    told = consent.context.introduction
    why, said = _reason(consent.error or "It came to nothing.")
    return visit.page(
        "consents/consent.html",
        place=place,
        consent=consent,
        status_word=consent.status.value,
        is_here=found.is_here,
        provider=_provider(visit, place, found),
        codes=found.codes,
        picture=_picture(found.codes),
        told=told,
        why=why,
        said=said,
        result=_result(place, consent),
        again=f"{place.path}/connect?{_again(consent)}",
    )


@get("/workspaces/{workspace_id:str}/consents/{consent_id:str}/provider", media_type=MediaType.HTML)
async def consent_provider(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    consent_id: PATH_ID,
    own_browser_consents: NamedDependency[OwnBrowserConsents],
) -> Response[Any]:
    """Send the browser to the provider, with a request that is pushed at this moment (RFC 9126)."""
    address = await own_browser_consents.address(visit.who, place.id, consent_id, visit.request.cookies)
    if address is None:
        return visit.go(place.consent_path(consent_id))
    return Response(None, status_code=303, headers={**HEADERS, "location": address})


def _provider(visit: Visit, place: WorkspacePlace, found: OwnConsent) -> str | None:
    """Return where the link to the provider leads: over our host where its request is pushed first."""
    if found.address is None or found.consent.context.pushed is None:
        return found.address
    return f"{visit.console.root}{place.consent_path(found.consent.id)}/provider"


def _picture(codes: DeviceCodes | None) -> str:
    return "" if codes is None else qr_code(codes.verification_uri_complete or codes.verification_uri)


def _reason(error: str) -> tuple[str, str]:
    """Part why a consent failed into our words and the provider's, which stand in brackets behind them."""
    ours, parted, theirs = error.partition(". (")
    return (f"{ours}.", theirs[:-1]) if parted and theirs.endswith(")") else (error, "")


def _result(place: WorkspacePlace, consent: Consent) -> str:
    """Return the path of what was made or connected again."""
    kind = "credentials" if consent.auth_client_id is None else "connections"
    return f"{place.path}/{kind}/{consent.result_id}"


def _again(consent: Consent) -> str:
    """Return the query of the form with which the same can be tried again; ids need no encoding."""
    named = {
        "component": consent.component_id,
        "auth_client": consent.auth_client_id,
        "secret": consent.auth_secret_id,
        "credential": consent.credential_id,
    }
    return "&".join(f"{name}={value}" for name, value in named.items() if value is not None)
