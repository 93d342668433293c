"""The pages that one is led to from everywhere, for those who may see them."""

from collections.abc import Sequence
from dataclasses import dataclass

from keyrack.model.identity import Principal
from keyrack.service.authz.own_permissions import OwnAccess
from keyrack.service.operator.permissions import SEE_AUDIT, SEE_GRANTS, SEE_TENANTS, WATCH


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the navigation.

    Attributes:
        group: heading under which it stands; empty for the first ones.
        path: of the page.
        text: of the link.
        needs: permissions in the tenant or installation of which one is enough; none: everybody sees it.
        needs_all: permissions that are all needed.
        for_tenants: it is shown to people of a tenant.
        for_operators: it is shown to who has no tenant.
    """

    group: str
    path: str
    text: str
    needs: frozenset[str] = frozenset()
    needs_all: frozenset[str] = frozenset()
    for_tenants: bool = True
    for_operators: bool = False


ENTRIES: Sequence[Entry] = (
    Entry("", "/console", "Overview"),
    Entry("", "/console/workspaces", "Workspaces"),
    *(
        Entry(
            "Installation",
            f"/console/installation{path}",
            text,
            needs_all=frozenset({WATCH, *more}),
            for_tenants=False,
            for_operators=True,
        )
        for path, text, *more in (
            ("", "At a glance"),
            ("/grants", "Grants", SEE_GRANTS),
            ("/reports", "Reports", SEE_AUDIT),
            ("/providers", "Providers"),
            ("/queue", "Queue"),
            ("/processes", "Processes"),
            ("/keys", "Key versions"),
            ("/tenants", "Tenants", SEE_TENANTS),
            ("/audit", "Audit", SEE_AUDIT),
        )
    ),
    Entry("Clients", "/console/components", "Components", frozenset({"tenants.component.list_all"})),
    Entry("Clients", "/console/oauth-clients", "OAuth clients", frozenset({"tenants.oauth_clients.get"})),
    Entry(
        "Clients",
        "/console/auth-clients",
        "Auth clients",
        frozenset({"tenants.auth_clients.get", "global.auth_clients.get"}),
        for_operators=True,
    ),
    Entry("Tenant", "/console/people", "People", frozenset({"tenants.user.list_all"})),
    Entry("Tenant", "/console/contracts", "Contracts"),
    Entry("Tenant", "/console/roles", "Roles", frozenset({"tenants.tenant.list_roles"})),
    Entry("Tenant", "/console/webhooks", "Webhooks", frozenset({"tenants.webhooks.get"})),
    Entry("Tenant", "/console/events", "Events", frozenset({"tenants.webhooks.get"})),
    Entry("Tenant", "/console/ending-connections", "Ending connections", frozenset({"tenants.audit.get"})),
    Entry("Tenant", "/console/unused-connections", "Unused connections", frozenset({"tenants.audit.get"})),
    Entry("Tenant", "/console/audit", "Audit log", frozenset({"tenants.audit.get"})),
    Entry(
        "Installation",
        "/console/installation/service-accounts",
        "Service accounts",
        frozenset({"global.service_accounts.get"}),
        for_tenants=False,
        for_operators=True,
    ),
    Entry("Settings", "/console/settings/connect-page", "Connect page", frozenset({"tenants.tenant.edit"})),
    Entry("Settings", "/console/settings/single-sign-on", "Single sign-on", frozenset({"tenants.tenant.edit"})),
    Entry("You", "/console/invites", "Your invites"),
    Entry("You", "/console/account", "Account", for_operators=True),
)
"""In the order in which they are shown; entries of one group stand together."""


@dataclass(frozen=True, slots=True)
class Group:
    """Entries under one heading.

    Attributes:
        name: the heading, or nothing.
        links: path, text, and whether one is there or below.
    """

    name: str
    links: Sequence[tuple[str, str, bool]]


def entries(who: Principal, at_home: OwnAccess, here: str) -> Sequence[Group]:
    """Return the navigation as one person sees it on one page."""
    shown = [
        each
        for each in ENTRIES
        if (each.for_operators if who.tenant_id is None else each.for_tenants)
        and (not each.needs or at_home.allows(*each.needs))
        and each.needs_all <= at_home.permissions
    ]
    there = max((each.path for each in shown if _is_below(here, each.path)), key=len, default="")
    names = dict.fromkeys(each.group for each in shown)
    return [
        Group(name, [(each.path, each.text, each.path == there) for each in shown if each.group == name])
        for name in names
    ]


def first_page(who: Principal, at_home: OwnAccess) -> str:
    """Return the path of the first page in somebody's navigation: where they begin."""
    return entries(who, at_home, "")[0].links[0][0]


def _is_below(here: str, path: str) -> bool:
    return here == path or here.startswith(f"{path}/")
