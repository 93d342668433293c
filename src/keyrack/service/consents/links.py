"""Serves the links on our own host that begin a bound consent (contract 0.23).

Whoever opens an authorization server's address alone cannot know whose workspace the account is going to. Here a person
is told, and only the browser in which that person went on may finish the consent: an address that was passed on after
this page ends nowhere, and nobody's account comes into somebody else's workspace unseen (RFC 6749 section 10.12).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from keyrack.clock import Clock
from keyrack.errors import BadRequest, DatabaseUnavailable, KeyrackError, ProviderError, ProviderUnavailable
from keyrack.model.consents import Consent, ConsentIntroduction, ConsentStatus
from keyrack.oauth.provider_text import printable
from keyrack.service.authz.access import Scope
from keyrack.service.consents.browser import BrowserCookie, cookie_of, is_secure, new_cookie
from keyrack.service.consents.device_progress import DeviceProgress, DeviceProgressReader
from keyrack.service.consents.pushed_authorization import PushedAuthorizations
from keyrack.service.consents.values import NewConsent, PlannedConsent
from keyrack.store.components import ComponentRows
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceRows

PATH = "/consent"
"""Where the links lead; the secret part of one is in its query, which no log has (contract 0.18)."""

_MAX_NAME = 200
_MAX_SCOPES = 100


class UnknownLink(BadRequest):
    """It was used before, has expired, or was never ours. Ask whoever sent it to you for a new one."""


class LinkNotUsable(BadRequest):
    """What it is for has changed since it was made, or whoever made it may not ask for it any more.

    Nothing was connected. Ask whoever sent it to you for a new one.
    """


class LinkNotUsableNow(BadRequest):
    """It cannot be used at the moment: the provider does not answer, or too many accounts are being connected.

    Nothing was connected, and the link stays good. Try again in a while.
    """

    def __init__(self, said: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.said = dict(said or {})
        """What the provider said about it, as far as it did."""


class FormNotOurs(BadRequest):
    """Your browser did not send the cookie that this page set. Allow cookies for it, then open the link again."""


@dataclass(frozen=True, slots=True)
class IntroductionPage:
    """What a person is told before going on to an authorization server.

    Attributes:
        told: who asks for what.
        expires_at: until when the link is good.
        cookie: of the browser that asks.
        form_token: what the form sends along.
    """

    told: ConsentIntroduction
    expires_at: datetime
    cookie: BrowserCookie
    form_token: str


class ConsentLinks:
    """What a person does with such a link."""

    def __init__(self, store: Store, pushed: PushedAuthorizations, devices: DeviceProgressReader, clock: Clock) -> None:
        self._store = store
        self._pushed = pushed
        self._devices = devices
        self._clock = clock

    async def progress(self, link: str, cookies: Mapping[str, str]) -> DeviceProgress | None:
        """Return how far a device's consent is that was begun in this browser; None if the link is of no such one."""
        found = await self._consent(link)
        return await self._devices.of(found, cookies)

    async def introduce(self, link: str, cookies: Mapping[str, str]) -> IntroductionPage:
        """Return who asks for what; changes nothing.

        Args:
            link: the secret part of the link.
            cookies: of the browser.

        Raises:
            UnknownLink: there is no such link, or it is over.
        """
        consent = await self._pending(link)
        if consent.context.introduction is None:
            raise UnknownLink
        secure = is_secure(consent.context.redirect_uri)
        cookie = cookie_of(cookies, secure=secure) or new_cookie(secure=secure)
        return IntroductionPage(consent.context.introduction, consent.expires_at, cookie, cookie.form_token(consent.id))

    async def go_on(self, link: str, cookies: Mapping[str, str], form_token: str) -> tuple[str, BrowserCookie]:
        """Bind the browser to the consent; return where it goes on, and its cookie.

        Going on again, in the same browser or another, is fine while the consent is pending; the last one counts. A
        device's consent goes on at the link itself, which shows the code to this browser from now on.

        Raises:
            UnknownLink: there is no such link, or it is over.
            FormNotOurs: the browser has not seen our page, or takes no cookies; nothing has changed.
            LinkNotUsable: who started the consent may not finish it any more.
            LinkNotUsableNow: the provider does not take the request, or does not answer.
        """
        consent = await self._pending(link)
        cookie = cookie_of(cookies, secure=is_secure(consent.context.redirect_uri))
        if cookie is None or not cookie.made_form(consent.id, form_token):
            raise FormNotOurs
        address = await self._address(consent)
        async with self._store.unit(consent.tenant_id, writes=True) as unit:
            if not await ConsentRows(unit).bind(consent.id, cookie.hash_for(consent.id), self._clock()):
                raise UnknownLink
        return address, cookie

    async def _address(self, consent: Consent) -> str:
        if consent.context.device is not None:
            return consent.context.link or ""
        try:
            address = await self._pushed.address(consent)
        except DatabaseUnavailable:
            raise
        except (ProviderError, ProviderUnavailable) as error:
            raise LinkNotUsableNow(error.failure.said) from None
        except KeyrackError:
            raise LinkNotUsable from None
        if address is None:
            raise UnknownLink
        return address

    async def _pending(self, link: str) -> Consent:
        """Return the pending consent of a link, whose first request has been answered."""
        consent = await self._consent(link)
        waiting = consent is not None and consent.status is ConsentStatus.pending
        if consent is None or not waiting or consent.expires_at <= self._clock():
            raise UnknownLink
        context = consent.context
        if context.authorization_url is None and context.device is None:
            raise UnknownLink
        return consent

    async def _consent(self, link: str) -> Consent | None:
        hashed = link_hash(link)
        async with self._store.installation() as unit:
            place = await Directory(unit).consent_by_link(hashed)
        if place is None:
            return None
        async with self._store.unit(place.tenant_id) as unit:
            return await ConsentRows(unit).by_link(hashed)


def link_hash(link: str) -> str:
    """Return the hash under which a bound consent is found by its link: 64 hex characters, never those of a state."""
    text = link.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=32, person=b"keyrack consent").hexdigest()


def link_address(base: str, link: str) -> str:
    """Return the address of a bound consent's page.

    Args:
        base: of addresses that browsers open (contract 0.7).
        link: the secret part.
    """
    return f"{base}{PATH}?link={link}"


async def introduction(scope: Scope, wanted: NewConsent, planned: PlannedConsent) -> ConsentIntroduction:
    """Return what the page of a bound consent says about who started it and what is asked for."""
    unit, component_id = scope.unit, wanted.component_id
    user = await UserRows(unit).find(scope.who.id)
    tenant = await TenantRows(unit).find(unit.tenant_id)
    workspace = await WorkspaceRows(unit).find(scope.place.workspace_id or "")
    component = None if component_id is None else await ComponentRows(unit).find(component_id)
    what = component.title if component else planned.name
    if planned.profile.resource is not None:
        what = f"{what} ({urlsplit(planned.profile.resource).hostname or planned.profile.resource})"
    person = f"{user.first_name} {user.last_name} ({user.email})" if user else scope.who.name
    return ConsentIntroduction(
        starter=printable(person, _MAX_NAME),
        tenant=printable(tenant.name if tenant else "", _MAX_NAME),
        workspace=printable(workspace.name if workspace else "", _MAX_NAME),
        what=printable(what, _MAX_NAME),
        host=urlsplit(planned.profile.visited_endpoint).hostname or "",
        scopes=tuple(printable(each, _MAX_NAME) for each in planned.scope.split())[:_MAX_SCOPES],
    )
