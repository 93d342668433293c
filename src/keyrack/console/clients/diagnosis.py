"""`/console/.../diagnose` of auth clients and OAuth clients: why connecting fails (decision 37)."""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.console.clients import auth_client_pages, oauth_clients
from keyrack.console.core.visit import Visit
from keyrack.service.authz.access import home
from keyrack.service.diagnosis.client_diagnosis import ClientDiagnoses
from keyrack.service.diagnosis.examination import Diagnosis

_WORDS = {
    "ok": ("in order", "good"),
    "notice": ("to know", "plain"),
    "warning": ("warning", "warn"),
    "error": ("wrong", "bad"),
}
"""How each level is said, and shown."""
_SUMMARIES = {
    "ok": ("Nothing wrong was found.", "good"),
    "notice": ("Nothing wrong was found; some things are worth knowing, or cannot be told.", "good"),
    "warning": ("Something is likely to fail: for some accounts, or at a later time.", "warn"),
    "error": ("Something is wrong because of which connecting or renewing fails.", "bad"),
}
_PLACES = {
    "client": "in this client",
    "component": "in the component.json of the component",
    "provider": "at the provider, where the client is registered",
    "installation": "in this installation; ask who runs it",
}


@post("/auth-clients/{auth_client_id:str}/diagnose", media_type=MediaType.HTML, status_code=200)
async def auth_client_diagnosed(
    auth_client_id: PATH_ID, visit: NamedDependency[Visit], client_diagnoses: NamedDependency[ClientDiagnoses]
) -> Response[str]:
    """Ask an auth client's provider what is wrong; reloading asks again."""
    await visit.form()
    found = await client_diagnoses.of_auth_client(visit.who, auth_client_id)
    return _page(visit, found, auth_client_pages.PATH, "Auth clients")


@post("/oauth-clients/{oauth_client_id:str}/diagnose", media_type=MediaType.HTML, status_code=200)
async def oauth_client_diagnosed(
    oauth_client_id: PATH_ID, visit: NamedDependency[Visit], client_diagnoses: NamedDependency[ClientDiagnoses]
) -> Response[str]:
    """Ask an OAuth client's provider what is wrong; reloading asks again."""
    await visit.form()
    found = await client_diagnoses.of_oauth_client(visit.who, home(visit.who), oauth_client_id)
    return _page(visit, found, oauth_clients.PATH, "OAuth clients")


def _page(visit: Visit, found: Diagnosis, path: str, listed: str) -> Response[str]:
    summary, kind = _SUMMARIES[found.level]
    return visit.page(
        "clients/diagnosis.html",
        found=found,
        summary=summary,
        kind=kind,
        path=path,
        listed=listed,
        words=_WORDS,
        places=_PLACES,
    )
