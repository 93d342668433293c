"""All routes of the console, and what has to be known to ask each of them with success.

They come from the console's own table of routes, so that a new page is visited, and asked by whoever may not see it,
without being named anywhere; only what needs more than an id of `Estate.ids` in its path has a line here.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser

from litestar.routes import HTTPRoute
from sqlalchemy import insert

from keyrack.console.routes import CONSOLE
from keyrack.crypto.secret import Secret
from keyrack.ids import new_id
from keyrack.model import single_sign_on as sign_on
from keyrack.model.tenancy import Role
from keyrack.store.authentication_requests import AuthenticationRequests
from keyrack.store.schema import linked_identities
from keyrack.store.tenants import RolePolicy
from support.app import TenantInTest, World, relationship
from support.secrets import resource
from support.single_sign_on import set_up

UNKNOWN = "0" * 24
PUBLIC = "/console/sign-in", "/console/files/"
"""Below these is what is for people who are not signed in."""

QUERIES: dict[str, str] = {
    "/console/installation/providers/named": "?origin=https%3A%2F%2Flogin.example.com",
}
"""What has to be in the address for a page to show something, by path; with names of ids in braces."""

NOT_FOR_ADMINS: dict[str, str] = {
    "/console/people/{user_id}/two-step": "the admin, of whoever has turned it on",
    "/console/roles/delete": "who may change the tenant's roles, which no role of a new tenant may",
    "/console/roles/edit": "as above",
    "/console/roles/new": "as above",
    "/console/settings/single-sign-on/tests/{test_id}": "who tests, until it is over",
    "/console/workspaces/{workspace_id}/consents/{consent_id}": "the browser that began it",
}
"""Pages that the admin of a tenant who is in everything does not get, and who does."""

OPERATORS = "/console/installation"
"""Below it are the pages for service accounts."""

NO_PAGES: dict[str, str] = {
    "/console/workspaces/{workspace_id}/consents/{consent_id}/provider": "leads on to the provider",
    "/console/audit/export": "a file to keep",
}
"""What answers GET, but with no page of its own."""


def routes(method: str) -> list[str]:
    """Return the paths of all routes with a method, as the application spells them."""
    found = {
        route.path_format.rstrip("/")
        for route in CONSOLE.routes
        if isinstance(route, HTTPRoute) and method in route.methods
    }
    return sorted(found)


def pages() -> list[str]:
    """Return the paths of all pages that somebody sees who is signed in."""
    return [path for path in routes("GET") if not path.startswith(PUBLIC) and path not in NO_PAGES]


def admins_pages() -> list[str]:
    """Return the paths of those that the admin of a tenant sees who is in everything."""
    return [path for path in pages() if path not in NOT_FOR_ADMINS and not path.startswith(OPERATORS)]


def address(path: str, ids: Mapping[str, str]) -> str:
    """Return where a page is, with ids in its path and query."""
    return f"{path}{QUERIES.get(path, '')}".format_map(defaultdict(lambda: UNKNOWN, ids))


async def set_up_sign_on(world: World, tenant: TenantInTest, user_id: str) -> None:
    """Let a tenant have single sign-on, and an account of it be linked to a person there."""
    await set_up(world, tenant, "https://login.example.com", domains=("sso.example",))
    async with world.store.unit(tenant.id, writes=True) as unit:
        linked = {"user_id": user_id, "identity_hash": user_id, "subject": "subject", "email": "linked@sso.example"}
        now = unit.clock()
        values = {"id": new_id(), "tenant_id": tenant.id, "linked_at": now, **linked}
        await unit.connection.execute(insert(linked_identities).values(values))


async def let_more_be_seen(world: World, acme: TenantInTest, component_id: str) -> dict[str, str]:
    """Let the admin change roles, and have tested single sign-on; let a connect link have failed. Return their ids."""
    about = {"component": relationship("component", component_id)}
    asked = {"type": "connect-link", "attributes": {"name": "Linked"}, "relationships": about}
    answer = await acme.integrator.post(f"/v2/workspaces/{acme.workspace_id}/connect-links", {"data": asked})
    link = resource(answer, 201)
    async with world.store.unit(acme.id, writes=True) as unit:
        policy = await RolePolicy(unit).list()
        admin = next(each for each in policy if each.role == "tenant-admin")
        able = replace(admin, permissions=admin.permissions | {"tenants.tenant.edit_roles"})
        reader = Role("tenants", "reader", frozenset({"tenants.user.get"}), {"en": "Reader"})
        await RolePolicy(unit).replace([able, reader, *(each for each in policy if each is not admin)])
        now, test_id = unit.clock(), new_id()
        context = sign_on.AuthenticationContext(
            "https://login.example.com", "c", "https://x.example", Secret("v"), "n", ""
        )
        test = sign_on.AuthenticationRequest(test_id, acme.admin.id, "b" * 64, context, now, now + timedelta(days=1))
        await AuthenticationRequests(unit).add(test, new_id())
        result = sign_on.TestResult(works=False, told="No", said={"error": "x"}, claims={"email": "x"})
        await AuthenticationRequests(unit).finish_test(test_id, result)
    path = link["attributes"]["url"].removeprefix(str(world.settings.public_url))
    return {"test_id": test_id, "failed_link_id": link["id"], "failed_link": path}


def operators_pages() -> list[str]:
    """Return the paths of those that a service account with every permission sees of the installation."""
    return [path for path in pages() if path.startswith(OPERATORS) and path not in NOT_FOR_ADMINS]


@dataclass
class SentForm:
    """A form of a page: where it goes, and what it sends as it stands; `in_parts` with files (multipart/form-data)."""

    action: str
    method: str = "get"
    in_parts: bool = False
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[SentForm] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            in_parts = given.get("enctype") == "multipart/form-data"
            self.found.append(SentForm(given.get("action", ""), given.get("method", "get"), in_parts))
        elif not self.found:
            return
        elif tag == "input" and given.get("name"):
            chosen = given.get("type") not in {"checkbox", "radio"} or "checked" in given
            if chosen or given["name"] not in self.found[-1].fields:
                self.found[-1].fields[given["name"]] = given.get("value") or "text"
        elif tag == "textarea" and given.get("name"):
            self.found[-1].fields[given["name"]] = "text"
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and self._select and (given.get("value") or "selected" in given):
            if "selected" in given or self._select not in self.found[-1].fields:
                self.found[-1].fields[self._select] = given.get("value", "")
        elif tag == "button" and given.get("name"):
            self.found[-1].fields.setdefault(given["name"], given.get("value", ""))


def forms(page: str) -> Iterator[SentForm]:
    """Return the forms of a page that are sent with POST, filled in as a person might who sends them at once."""
    reader = _Forms()
    reader.feed(page)
    return (form for form in reader.found if form.method.lower() == "post")
