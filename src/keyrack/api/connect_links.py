"""`/v2/workspaces/{W}/connect-links`: links with which people without an account connect one (decision 26)."""

from datetime import timedelta
from typing import Literal

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from keyrack.api.consents import (
    ConsentChoices,
    ConsentRelationships,
    NewConsentRelationships,
    made_by_consent,
    wanted_consent,
)
from keyrack.api.core.body import or_none
from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import Single, Text
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.consents import ConnectLink
from keyrack.service.consents.connect_links import LONGEST, SHORTEST, USUAL, ConnectLinks, NewConnectLink

_LIMITS = f"must be a number of seconds from {SHORTEST.total_seconds():.0f} to {LONGEST.total_seconds():.0f}"
_STATUS = Literal["pending", "opened", "connected", "denied", "failed", "expired"]


class NewConnectLinkAttributes(ConsentChoices):
    """What is to be connected, as for a consent, and the link itself.

    `expires_in` is in seconds, an hour unless it is said. `opener_origin` is the web origin of the page that opens the
    link in a popup: it alone is told the outcome by a message.
    """

    expires_in: int | UnsetType = UNSET
    opener_origin: Text | UnsetType = UNSET


class MakeConnectLink(msgspec.Struct):
    """Data of a request to make a connect link."""

    type: Literal["connect-link"]
    relationships: NewConsentRelationships
    attributes: NewConnectLinkAttributes = msgspec.field(default_factory=NewConnectLinkAttributes)


class ConnectLinkBody(msgspec.Struct):
    """Body of a request to make a connect link."""

    data: MakeConnectLink


class ConnectLinkAttributes(msgspec.Struct):
    """How far a link has come; `url` is shown once, when it is made."""

    status: _STATUS
    expires_at: str
    url: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class ConnectLinkResource(msgspec.Struct):
    """A link with which a person without an account connects one, once."""

    id: str
    attributes: ConnectLinkAttributes
    type: Literal["connect-link"] = "connect-link"
    relationships: ConsentRelationships | UnsetType = UNSET


class ConnectLinkController(Controller):
    """Connect links of a workspace."""

    path = "/v2/workspaces/{workspace_id:str}/connect-links"
    tags = ("Consents",)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(
        self,
        workspace_id: PATH_ID,
        data: Body[ConnectLinkBody],
        who: Who,
        connect_links: NamedDependency[ConnectLinks],
    ) -> Single[ConnectLinkResource]:
        """Make a link with which a person without an account connects one; its `url` is shown this once (extension)."""
        made = await connect_links.create(who, workspace_id, data.then(_command))
        return Single(_resource(made.link, made.url))

    @get("/{connect_link_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(
        self, workspace_id: PATH_ID, connect_link_id: PATH_ID, who: Who, connect_links: NamedDependency[ConnectLinks]
    ) -> Single[ConnectLinkResource]:
        """Return a connect link, with what came of it, to the user who made it (extension)."""
        return Single(_resource(await connect_links.get(who, workspace_id, connect_link_id)))


def _command(body: ConnectLinkBody) -> NewConnectLink:
    given = body.data.attributes
    lifetime = USUAL if given.expires_in is UNSET else _lifetime(given.expires_in)
    return NewConnectLink(wanted_consent(given, body.data.relationships), or_none(given.opener_origin), lifetime)


def _lifetime(seconds: int) -> timedelta:
    if not SHORTEST.total_seconds() <= seconds <= LONGEST.total_seconds():
        raise ValidationFailed(Problem(_LIMITS, "/data/attributes/expires_in"))
    return timedelta(seconds=seconds)


def _resource(link: ConnectLink, url: Secret | None = None) -> ConnectLinkResource:
    attributes = ConnectLinkAttributes(
        status=link.status.value,
        expires_at=iso(link.expires_at),
        url=UNSET if url is None else url.reveal(),
        error=UNSET if link.error is None else link.error,
    )
    made = made_by_consent(link.result_id, link.workspace_id, link.wanted["auth_client_id"])
    return ConnectLinkResource(link.id, attributes, relationships=made)
