"""All routes of the console, and what has to be known to ask each of them with success.

They come from the console's own table of routes, so that a new page is visited, and asked by whoever may not see it,
without being named anywhere; only what needs more than an id of `Estate.ids` in its path has a line here.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from litestar.routes import HTTPRoute
from sqlalchemy import insert

from keyrack.console.routes import CONSOLE
from keyrack.ids import new_id
from keyrack.store.schema import linked_identities
from support.app import TenantInTest, World
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
