"""Lets a person without an account use a connect link: says who asks for what, binds the browser, starts the consent.

The consent is the maker's, begun with the rights that the maker has then (decision 26). From the press of the button on
the link belongs to that browser, so whoever finds it later, in a chat or a proxy's log, can do nothing with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from keyrack.clock import Clock
from keyrack.errors import (
    BadRequest,
    DatabaseUnavailable,
    KeyrackError,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
)
from keyrack.model.consents import OPEN_LINKS, ConnectLink, Consent, ConsentStatus
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz.access import Access
from keyrack.service.consents.browser import BrowserCookie, cookie_of, is_secure, new_cookie
from keyrack.service.consents.connect_links import PATH, connect_link_hash
from keyrack.service.consents.device_progress import DeviceProgress, DeviceProgressReader
from keyrack.service.consents.links import (
    FormNotOurs,
    IntroductionPage,
    LinkNotUsable,
    LinkNotUsableNow,
    introduction,
)
from keyrack.service.consents.start import ConsentStart
from keyrack.service.consents.values import NewConsent
from keyrack.service.tenancy.tenants import base_address
from keyrack.store.connect_links import ConnectLinkRows
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory, Location
from keyrack.store.tenants import TenantRows
from keyrack.validation.unvalidated import Unvalidated

_ANOTHER_TAB = "the link was opened in another tab at the same time"
_MOST_TRIES = 3


class UnknownConnectLink(BadRequest):
    """It was used before, has expired, or was never ours. Ask whoever sent it to you for a new one."""


class OpenedElsewhere(BadRequest):
    """Somebody has gone on from this link in another browser, and only that one can finish it.

    If that was not you, tell whoever sent you the link, and ask for a new one.
    """


class StillConnecting(BadRequest):
    """An account is being connected with this link already, in another tab. Look there, or try again in a minute."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A link that may still be good."""

    link: ConnectLink
    place: Location
    base: str
    """Of our own addresses."""

    @property
    def secure(self) -> bool:
        """Whether our own pages are reached by https."""
        return is_secure(self.base)


class ConnectPage:
    """What a person does with a connect link.

    Args:
        store: where links are.
        access: the way into every operation.
        start: starts the consent.
        devices: tells how far a device's consent is.
        public_url: the base of addresses that browsers open; None: each tenant's own (contract 0.7).
        clock: the time.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        start: ConsentStart,
        devices: DeviceProgressReader,
        *,
        public_url: str | None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access = access
        self._start = start
        self._devices = devices
        self._public_url = public_url
        self._clock = clock

    async def progress(self, token: str, cookies: Mapping[str, str]) -> DeviceProgress | None:
        """Return how far a device's consent is that was begun with the link in this browser, also once it is over.

        None where nothing came of it and the link is still good: it can be gone on from again.
        """
        hashed = connect_link_hash(token)
        async with self._store.installation() as unit:
            place = await Directory(unit).connect_link(hashed)
        if place is None:
            return None
        async with self._store.unit(place.tenant_id) as unit:
            link = await ConnectLinkRows(unit).by_link(hashed)
            counts = None if link is None or link.consent_id is None else link.consent_id
            consent = None if counts is None else await ConsentRows(unit).find(counts)
        progress = await self._devices.of(consent, cookies)
        if progress is None or progress.outcome is None or link is None:
            return progress
        again = link.status in OPEN_LINKS and link.expires_at > self._clock()
        return None if again and progress.outcome.error is not None else progress

    async def introduce(self, token: str, cookies: Mapping[str, str]) -> IntroductionPage:
        """Return who asks for what; changes nothing.

        Args:
            token: the secret part of the link.
            cookies: of the browser.

        Raises:
            UnknownConnectLink: there is no such link, or it is over.
            OpenedElsewhere: it belongs to another browser.
            LinkNotUsable: its maker could not ask for that now.
        """
        found = await self._open(token)
        link, known = found.link, cookie_of(cookies, secure=found.secure)
        _require_same_browser(link, known)
        who = await self._maker(link, None, None)
        try:
            async with self._access.at(who, found.place, precheck="consent.start") as scope:
                wanted, planned, _ = await self._start.judge(scope, _wanted(link))
                told = await introduction(scope, wanted, planned)
        except DatabaseUnavailable:
            raise
        except KeyrackError:
            raise LinkNotUsable from None
        cookie = known or new_cookie(secure=found.secure)
        return IntroductionPage(told, link.expires_at, cookie, cookie.form_token(link.id))

    async def go_on(
        self, token: str, cookies: Mapping[str, str], form_token: str, address: str | None, request_id: str | None
    ) -> tuple[str, BrowserCookie]:
        """Give the link to the browser, start the consent; return where it goes on, and the browser's cookie.

        Going on again in the same browser leads to the same consent as long as that can be finished, else to a new one.

        Args:
            token: the secret part of the link.
            cookies: of the browser.
            form_token: what the page's form sent along.
            address: where the browser is, for the audit log.
            request_id: the request's id, for the audit log.

        Raises:
            UnknownConnectLink, OpenedElsewhere, LinkNotUsable: as `introduce`.
            FormNotOurs: the browser has not seen our page, or takes no cookies; nothing has changed.
            LinkNotUsableNow: the provider does not answer, or a quota is used up.
            StillConnecting: a tab of the browser has come back from the provider this moment.
        """
        found = await self._open(token)
        link, cookie = found.link, cookie_of(cookies, secure=found.secure)
        _require_same_browser(link, cookie)
        if cookie is None or not cookie.made_form(link.id, form_token):
            raise FormNotOurs
        who = await self._maker(link, address, request_id)
        for _ in range(_MOST_TRIES):
            async with self._store.unit(link.tenant_id, writes=True) as unit:
                held = await TenantRows(unit).hold()
                opened = held and await ConnectLinkRows(unit).open(link.id, cookie.hash_for(link.id))
            link = (await self._open(token)).link
            _require_same_browser(link, cookie)
            if not opened:
                raise UnknownConnectLink
            if (ready := await self._begun(link, f"{found.base}{PATH}?link={token}", who, cookie)) is not None:
                return ready, cookie
        raise StillConnecting

    async def _begun(self, link: ConnectLink, page: str, who: Principal, cookie: BrowserCookie) -> str | None:
        """Return where the browser begins: of the consent that counts, or of a new one. None: another tab was first.

        A device's begins at the page of the link, which then shows the code.
        """
        running = await self._running(link)
        try:
            if running is not None and running.context.device is not None:
                return page
            address = None if running is None else await self._start.address(running)
            if address is not None:
                return address
            started = await self._start.start(who, link.workspace_id, _wanted(link))
        except (DatabaseUnavailable, RateLimited):
            raise
        except (ProviderError, ProviderUnavailable) as error:
            raise LinkNotUsableNow(error.failure.said) from None
        except QuotaExceeded:
            raise LinkNotUsableNow from None
        except KeyrackError:
            raise LinkNotUsable from None
        async with self._store.unit(link.tenant_id, writes=True) as unit:
            links, consents = ConnectLinkRows(unit), ConsentRows(unit)
            if not await TenantRows(unit).hold():
                raise UnknownConnectLink
            if not await links.begin(link.id, started.id, started.expires_at, instead_of=link.consent_id):
                await consents.abandon(started.id, _ANOTHER_TAB)
                return None
            await consents.bind(started.id, cookie.hash_for(started.id), self._clock())
        return page if started.context.device is not None else started.context.authorization_url

    async def _running(self, link: ConnectLink) -> Consent | None:
        """Return the consent that counts if it can still be finished.

        Raises:
            StillConnecting: it is being finished this moment.
        """
        if link.consent_id is None:
            return None
        async with self._store.unit(link.tenant_id) as unit:
            consent = await ConsentRows(unit).find(link.consent_id)
        if consent is None or consent.expires_at <= self._clock():
            return None
        if consent.status is ConsentStatus.exchanging:
            raise StillConnecting
        return consent if consent.status is ConsentStatus.pending else None

    async def _open(self, token: str) -> _Found:
        """Return a link that nobody has used up, and that is not too old.

        Raises:
            UnknownConnectLink: there is none.
        """
        hashed = connect_link_hash(token)
        async with self._store.installation() as unit:
            place = await Directory(unit).connect_link(hashed)
        if place is None:
            raise UnknownConnectLink
        async with self._store.unit(place.tenant_id) as unit:
            link = await ConnectLinkRows(unit).by_link(hashed)
            if link is None or link.status not in OPEN_LINKS or link.expires_at <= self._clock():
                raise UnknownConnectLink
            return _Found(link, place, await base_address(unit, self._public_url))

    async def _maker(self, link: ConnectLink, address: str | None, request_id: str | None) -> Principal:
        """Return who made a link, as the caller who starts its consent."""
        async with self._store.installation() as unit:
            name = await Directory(unit).user_name(link.user_id)
        return Principal(
            PrincipalKind.user, link.user_id, name or "", link.tenant_id, address=address, request_id=request_id
        )


def _require_same_browser(link: ConnectLink, cookie: BrowserCookie | None) -> None:
    if link.browser_hash is not None and (cookie is None or cookie.hash_for(link.id) != link.browser_hash):
        raise OpenedElsewhere


def _wanted(link: ConnectLink) -> Unvalidated[NewConsent]:
    return Unvalidated(lambda: NewConsent(**link.wanted))
