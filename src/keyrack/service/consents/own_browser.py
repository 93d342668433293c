"""Starts consents from the console: bound at once to the browser of whoever starts them (contract 0.7, 0.23).

The page that tells other people who asks for what (`links`) is not needed: the person in front of the browser is the
one who asks. The callback takes the consent from that browser only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from keyrack.clock import Clock
from keyrack.errors import StateConflict
from keyrack.model.consents import Consent
from keyrack.model.identity import Principal
from keyrack.service.consents.browser import BrowserCookie, cookie_of, is_secure, new_cookie
from keyrack.service.consents.start import ConsentStart
from keyrack.service.consents.values import NewConsent
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.validation.unvalidated import Unvalidated


@dataclass(frozen=True, slots=True)
class OwnConsent:
    """A consent as the browser sees it that asks how far it is.

    Attributes:
        consent: the caller's own.
        is_here: this browser may finish it.
        address: the provider's address to go to, while it can be finished here; else None.
    """

    consent: Consent
    is_here: bool
    address: str | None


class OwnBrowserConsents:
    """Consents of people who are signed in to the console.

    Args:
        store: where they are.
        start: starts them.
        clock: the time.
    """

    def __init__(self, store: Store, start: ConsentStart, clock: Clock) -> None:
        self._store = store
        self._start = start
        self._clock = clock

    async def begin(
        self, who: Principal, workspace_id: str, new: Unvalidated[NewConsent], cookies: Mapping[str, str]
    ) -> tuple[Consent, BrowserCookie]:
        """Start a consent that only this browser can finish; return it, and the cookie to set.

        Raises:
            KeyrackError: as `ConsentStart.start`.
            StateConflict: it was over before the browser was bound.
        """
        consent = await self._start.start(who, workspace_id, Unvalidated(lambda: replace(new.validated(), bound=True)))
        secure = is_secure(consent.context.redirect_uri)
        cookie = cookie_of(cookies, secure=secure) or new_cookie(secure=secure)
        async with self._store.unit(consent.tenant_id, writes=True) as unit:
            if not await ConsentRows(unit).bind(consent.id, cookie.hash_for(consent.id), self._clock()):
                raise StateConflict("the connection was over before it began; start again")
        return consent, cookie

    async def look(self, who: Principal, workspace_id: str, consent_id: str, cookies: Mapping[str, str]) -> OwnConsent:
        """Tell how far a consent of the caller's is.

        Raises:
            NotFound: there is none, or somebody else started it.
        """
        consent = await self._start.get(who, workspace_id, consent_id)
        cookie = cookie_of(cookies, secure=is_secure(consent.context.redirect_uri or "https://"))
        is_here = cookie is not None and cookie.hash_for(consent.id) == consent.browser_hash
        return OwnConsent(consent, is_here, consent.context.authorization_url if is_here else None)
