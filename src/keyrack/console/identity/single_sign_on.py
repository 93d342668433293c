"""`/console/settings/single-sign-on`: how the people of the tenant sign in through their organisation (decision 31)."""

import re
from collections.abc import Mapping
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.console.core.forms import Form, problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.requests import PATH, FormNotOurs
from keyrack.console.core.visit import Visit
from keyrack.console.identity.organisation_sign_in import leaving
from keyrack.crypto.secret import Secret
from keyrack.errors import Forbidden, NotFound, ProviderError, ProviderUnavailable, ValidationFailed
from keyrack.model.single_sign_on import SingleSignOn
from keyrack.service.authz.access import home
from keyrack.service.single_sign_on.settings import SingleSignOnSettings, WantedSingleSignOn
from keyrack.service.single_sign_on.sign_in import OrganisationSignIn
from keyrack.validation.unvalidated import Unvalidated

_PAGE = f"{PATH}/settings/single-sign-on"
_FIELDS = {f"/{name}": name for name in ("issuer", "client_id", "client_auth", "client_secret", "domains")} | {
    "/allows_passwords": "allows_passwords"
}
_CLIENT_AUTH = [
    ("client_secret_basic", "With a secret, in the header (client_secret_basic)"),
    ("client_secret_post", "With a secret, in the body (client_secret_post)"),
    ("none", "Without a secret: a public client (none)"),
]
_SEPARATORS = re.compile(r"[\s,;]+")
_DONE = {
    "saved": "Saved. Test it before you tell anybody.",
    "deleted": "Single sign-on is deleted. Everybody signs in with a password again.",
    "unlinked": "The link is undone. At the next sign-in the account is looked for by its email.",
}


@get("/settings/single-sign-on", media_type=MediaType.HTML)
async def single_sign_on_page(
    visit: NamedDependency[Visit], single_sign_on: NamedDependency[SingleSignOnSettings]
) -> Response[str]:
    """Show how it is set up, and who has signed in so."""
    return await _page(visit, single_sign_on)


@post("/settings/single-sign-on", media_type=MediaType.HTML)
async def single_sign_on_saved(
    visit: NamedDependency[Visit], single_sign_on: NamedDependency[SingleSignOnSettings]
) -> Response[str]:
    """Set it up, or change it."""
    form = await visit.form()
    try:
        await single_sign_on.put(visit.who, home(visit.who), Unvalidated(lambda: _wanted(form)))
    except ValidationFailed as error:
        wrong, others = problems_by_field(error, _FIELDS)
        return await _page(visit, single_sign_on, status=400, typed=_values(_wanted(form)), wrong=wrong, others=others)
    return visit.go(_PAGE, done="saved")


@get("/settings/single-sign-on/delete", media_type=MediaType.HTML)
async def single_sign_on_to_delete(
    visit: NamedDependency[Visit], single_sign_on: NamedDependency[SingleSignOnSettings]
) -> Response[str]:
    """Say what deleting it does."""
    found = await single_sign_on.get(visit.who, home(visit.who))
    if found.settings is None:
        raise NotFound
    if not found.may_change:
        raise Forbidden("to delete it, one also has to be able to give roles in the tenant")
    return visit.page("identity/single_sign_on_delete.html", found=found)


@post("/settings/single-sign-on/delete", media_type=MediaType.HTML)
async def single_sign_on_deleted(
    visit: NamedDependency[Visit], single_sign_on: NamedDependency[SingleSignOnSettings]
) -> Response[str]:
    """Delete it."""
    await visit.form()
    await single_sign_on.remove(visit.who, home(visit.who))
    return visit.go(_PAGE, done="deleted")


@post("/settings/single-sign-on/test", media_type=MediaType.HTML)
async def single_sign_on_tested(
    visit: NamedDependency[Visit],
    single_sign_on: NamedDependency[SingleSignOnSettings],
    organisation_sign_in: NamedDependency[OrganisationSignIn],
) -> Response[str]:
    """Begin a sign-in that signs nobody in."""
    await visit.form()
    cookie = visit.console.cookie(visit.request)
    if cookie is None:
        raise FormNotOurs
    try:
        return leaving(visit.console, await organisation_sign_in.begin_test(visit.who, cookie.value))
    except (ProviderError, ProviderUnavailable) as error:
        return await _page(visit, single_sign_on, status=400, others=[str(error)])


@get("/settings/single-sign-on/tests/{test_id:str}", media_type=MediaType.HTML)
async def single_sign_on_test_result(
    test_id: PATH_ID, visit: NamedDependency[Visit], organisation_sign_in: NamedDependency[OrganisationSignIn]
) -> Response[str]:
    """Show what came of a test."""
    result = await organisation_sign_in.test_result(visit.who, test_id)
    return visit.page("identity/single_sign_on_test.html", result=result, said=": ".join(result.said.values()))


@get("/settings/single-sign-on/people/{user_id:str}/unlink", media_type=MediaType.HTML)
async def single_sign_on_to_unlink(
    user_id: PATH_ID, visit: NamedDependency[Visit], single_sign_on: NamedDependency[SingleSignOnSettings]
) -> Response[str]:
    """Say what undoing a link does."""
    link = await single_sign_on.link(visit.who, home(visit.who), user_id)
    return visit.page("identity/single_sign_on_unlink.html", link=link)


@post("/settings/single-sign-on/people/{user_id:str}/unlink", media_type=MediaType.HTML)
async def single_sign_on_unlinked(
    user_id: PATH_ID, visit: NamedDependency[Visit], single_sign_on: NamedDependency[SingleSignOnSettings]
) -> Response[str]:
    """Undo the link of an account with somebody at the provider."""
    await visit.form()
    await single_sign_on.unlink(visit.who, home(visit.who), user_id)
    return visit.go(_PAGE, done="unlinked")


async def _page(
    visit: Visit,
    single_sign_on: SingleSignOnSettings,
    *,
    status: int = 200,
    typed: Mapping[str, Any] | None = None,
    wrong: Mapping[str, str] | None = None,
    others: list[str] | None = None,
) -> Response[str]:
    found = await single_sign_on.get(visit.who, home(visit.who))
    offset = offset_of(visit.page_number("people"))
    linked, total = await single_sign_on.links(
        visit.who, home(visit.who), beginning=visit.asked("person"), limit=ROWS, offset=offset
    )
    return visit.page(
        "identity/single_sign_on.html",
        status=status,
        found=found,
        values=typed or _values(found.settings),
        client_auth=_CLIENT_AUTH,
        wrong=wrong or {},
        others=others or [],
        linked=linked,
        person=visit.asked("person"),
        people_pager=visit.pager(total, "people"),
        done=visit.done(_DONE),
    )


def _wanted(form: Form) -> WantedSingleSignOn:
    secret = form.get("client_secret", "")
    return WantedSingleSignOn(
        issuer=form.text("issuer"),
        client_id=form.text("client_id"),
        client_auth=form.text("client_auth"),
        domains=[each for each in _SEPARATORS.split(form.text("domains")) if each],
        creates_users="creates_users" in form,
        allows_passwords="allows_passwords" in form,
        client_secret=Secret(secret) if secret else None,
    )


def _values(settings: SingleSignOn | WantedSingleSignOn | None) -> Mapping[str, Any]:
    """Return what the form's fields show; never the secret."""
    if settings is None:
        return {
            "issuer": "", "client_id": "", "client_auth": "client_secret_basic", "domains": "",
            "creates_users": False, "allows_passwords": True,
        }  # fmt: skip
    return {
        "issuer": settings.issuer, "client_id": settings.client_id, "client_auth": settings.client_auth,
        "domains": "\n".join(settings.domains), "creates_users": settings.creates_users,
        "allows_passwords": settings.allows_passwords,
    }  # fmt: skip
