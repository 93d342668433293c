"""Says which page of the console shows something that was found."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from keyrack.console.core.requests import AnyRequest
from keyrack.service.search.search import Result

KINDS: Mapping[str, tuple[str, str]] = {
    "tenant": ("Tenant", "Tenants"),
    "user": ("Person", "People"),
    "contract": ("Contract", "Contracts"),
    "workspace": ("Workspace", "Workspaces"),
    "team": ("Team", "Teams"),
    "component": ("Component", "Components"),
    "oauth-client": ("OAuth client", "OAuth clients"),
    "auth-client": ("Auth client", "Auth clients"),
    "credential": ("Credential", "Credentials"),
    "auth-secret": ("Connection", "Connections"),
    "flow": ("Flow", "Flows"),
    "webhook": ("Webhook", "Webhooks"),
    "event": ("Event", "Events"),
    "oauth-consent": ("Consent", "Consents"),
    "connect-link": ("Connect link", "Connect links"),
    "contract-invite": ("Invite", "Invites"),
    "api-key": ("API key", "API keys"),
    "request": ("Request", "Requests"),
}
"""What things are called, one and many."""

_WORKSPACE = "/console/workspaces/{parent}"
_PAGES: Mapping[str, Sequence[str]] = {
    "tenant": ("/console/installation/tenants",),
    "user": ("/console/people/{id}",),
    "contract": ("/console/contracts/{id}",),
    "workspace": ("/console/workspaces/{id}",),
    "team": ("/console/contracts/{parent}",),
    "component": ("/console/components/{id}",),
    "oauth-client": ("/console/oauth-clients/{id}",),
    "auth-client": ("/console/auth-clients/{id}",),
    "credential": (f"{_WORKSPACE}/credentials/{{id}}", _WORKSPACE),
    "auth-secret": (f"{_WORKSPACE}/connections/{{id}}", _WORKSPACE),
    "flow": (f"{_WORKSPACE}/flows/{{id}}", _WORKSPACE),
    "webhook": ("/console/webhooks/{id}",),
    "event": ("/console/events/{id}",),
    "oauth-consent": (f"{_WORKSPACE}/consents/{{id}}", _WORKSPACE),
    "connect-link": (f"{_WORKSPACE}/connect-links/{{id}}", _WORKSPACE),
    "contract-invite": ("/console/contracts/{parent}",),
    "api-key": ("/console/account",),
    "request": ("/console/audit?request={id}",),
}
"""Pages of each kind of thing, the closest first; one counts if there is such a page."""

_PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A line of what was found.

    Attributes:
        kind: what it is, in the reader's words.
        name: what it is called.
        id: its own.
        href: the path of its page; None: there is none.
    """

    kind: str
    name: str
    id: str
    href: str | None


def hit(request: AnyRequest, result: Result) -> Hit:
    """Return the line of something that was found.

    Args:
        request: by whose application pages are served.
        result: what was found.
    """
    found = result.found
    return Hit(KINDS[found.kind][0], result.name, found.id, _page(request, found.kind, found.id, found.parent_id))


def _page(request: AnyRequest, kind: str, found_id: str, parent: str | None) -> str | None:
    there = {_PARAMETER.sub("{}", route.path) for route in request.app.routes}
    for each in _PAGES[kind]:
        if _PARAMETER.sub("{}", each.partition("?")[0]) in there and (parent or "{parent}" not in each):
            return each.format(id=quote(found_id), parent=quote(parent or ""))
    return None
