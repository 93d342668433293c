"""Says which page of the console shows something that was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

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
PAGES: Mapping[str, str] = {
    "tenant": "/console",
    "user": "/console/people/{id}",
    "contract": "/console/contracts/{id}",
    "workspace": "/console/workspaces/{id}",
    "team": "/console/contracts/{parent}",
    "component": "/console/components/{id}",
    "oauth-client": "/console/oauth-clients/{id}",
    "auth-client": "/console/auth-clients/{id}",
    "credential": f"{_WORKSPACE}/credentials/{{id}}",
    "auth-secret": f"{_WORKSPACE}/connections/{{id}}",
    "flow": _WORKSPACE,
    "webhook": "/console/webhooks/{id}",
    "event": "/console/events/{id}",
    "oauth-consent": f"{_WORKSPACE}/consents/{{id}}",
    "connect-link": f"{_WORKSPACE}/connect-links",
    "contract-invite": "/console/contracts/{parent}",
    "api-key": "/console/account",
    "request": "/console/audit?request_id={id}",
}
"""The page of each kind of thing; of what has none of its own, the page that it stands on."""
OPERATORS_PAGES: Mapping[str, str] = {"tenant": "/console/installation/tenants?q={id}"}
"""Those that an operator is led to instead."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A line of what was found.

    Attributes:
        kind: what it is, in the reader's words.
        name: what it is called.
        id: its own.
        href: the path of its page.
    """

    kind: str
    name: str
    id: str
    href: str


def hit(result: Result, *, operator: bool = False) -> Hit:
    """Return the line of something that was found.

    Args:
        result: what it is.
        operator: whether it is for an operator who sees tenants.
    """
    found = result.found
    parent = found.parent_id or ""
    page = (OPERATORS_PAGES if operator and found.kind in OPERATORS_PAGES else PAGES)[found.kind]
    if "{parent}" in page and not parent:  # of a team that was found in the tenant
        page = "/console/contracts"
    href = page.format(id=quote(found.id), parent=quote(parent))
    return Hit(KINDS[found.kind][0], result.name, found.id, href)
