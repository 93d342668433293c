"""Starts consents from the console: bound at once to the browser of whoever starts them (contract 0.7, 0.23).

The page that tells other people who asks for what (`links`) is not needed: the person in front of the browser is the
one who asks. The callback takes the consent from that browser only.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from keyrack.clock import Clock
from keyrack.errors import NotFound, StateConflict
from keyrack.ids import new_id
from keyrack.model.consents import Consent, ConsentStatus, DeviceCodes
from keyrack.model.identity import Principal
from keyrack.model.secrets import AuthSecret
from keyrack.service.authz.access import Access
from keyrack.service.consents.browser import BrowserCookie, cookie_of, is_secure, new_cookie
from keyrack.service.consents.start import ConsentStart
from keyrack.service.consents.values import NewConsent
from keyrack.service.tenancy.tenants import base_address
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.validation.unvalidated import Unvalidated

_EDIT = "workspaces.auth_secret.edit"


@dataclass(frozen=True, slots=True)
class OwnConsent:
    """A consent as the browser sees it that asks how far it is.

    Attributes:
        consent: the caller's own.
        is_here: this browser may finish it.
        address: the provider's address to go to, while it can be finished here; else None.
        codes: what is to be entered where, while it can be finished here; None but for a device's.
    """

    consent: Consent
    is_here: bool
    address: str | None
    codes: DeviceCodes | None = None


class OwnBrowserConsents:
    """Consents of people who are signed in to the console.

    Args:
        store: where they are.
        access: the way into every operation.
        start: starts them.
        public_url: the base of addresses that browsers open; None: each tenant's own (contract 0.7).
        clock: the time.
    """

    def __init__(
        self, store: Store, access: Access, start: ConsentStart, *, public_url: str | None, clock: Clock
    ) -> None:
        self._store = store
        self._access = access
        self._start = start
        self._public_url = public_url
        self._clock = clock

    async def begin(
        self,
        who: Principal,
        workspace_id: str,
        new: Unvalidated[NewConsent],
        cookies: Mapping[str, str],
        page: Callable[[str], str],
    ) -> tuple[Consent, BrowserCookie]:
        """Start a consent that only this browser can finish; return it, and the cookie to set.

        Args:
            who: the caller.
            workspace_id: where.
            new: what is wanted.
            cookies: of the browser.
            page: makes of the consent's id the path of the page of ours on which the browser goes on at the end.

        Raises:
            KeyrackError: as `ConsentStart.start`.
            StateConflict: it was over before the browser was bound.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            base = await base_address(scope.unit, self._public_url)
        consent_id = new_id()
        back = f"{base}{page(consent_id)}"
        wanted = Unvalidated(lambda: replace(new.validated(), bound=True, return_url=back))
        consent = await self._start.start(who, workspace_id, wanted, consent_id)
        secure = is_secure(consent.context.redirect_uri)
        cookie = cookie_of(cookies, secure=secure) or new_cookie(secure=secure)
        async with self._store.unit(consent.tenant_id, writes=True) as unit:
            if not await ConsentRows(unit).bind(consent.id, cookie.hash_for(consent.id), self._clock()):
                raise StateConflict("the connection was over before it began; start again")
        return consent, cookie

    async def again(
        self,
        who: Principal,
        workspace_id: str,
        secret_id: str,
        cookies: Mapping[str, str],
        page: Callable[[str], str],
    ) -> tuple[Consent, BrowserCookie]:
        """Start a consent that connects a secret again, asking for what was asked for before; as `begin`.

        The component whose consent it was is not known any more. If the auth client is linked to one only, that counts.

        Raises:
            NotFound: the workspace has no such secret.
            KeyrackError: as `begin`.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(_EDIT)
            secret = await AuthSecrets(scope.unit).find(secret_id)
            if secret is None or secret.workspace_id != workspace_id:
                raise NotFound("there is no such secret in this workspace")
            client = await find_usable(scope.unit, secret.auth_client_id)
        linked = () if client is None else client.component_ids
        wanted = NewConsent(
            component_id=linked[0] if len(linked) == 1 else None,
            auth_client_id=secret.auth_client_id,
            auth_secret_id=secret_id,
            scopes=" ".join(secret.requested_scopes) or None,
            additional_params=_asked_beside(secret),
        )
        return await self.begin(who, workspace_id, Unvalidated(lambda: wanted), cookies, page)

    async def look(self, who: Principal, workspace_id: str, consent_id: str, cookies: Mapping[str, str]) -> OwnConsent:
        """Tell how far a consent of the caller's is.

        Raises:
            NotFound: there is none, or somebody else started it.
        """
        consent = await self._start.get(who, workspace_id, consent_id)
        cookie = cookie_of(cookies, secure=is_secure(consent.context.redirect_uri or "https://"))
        is_here = cookie is not None and cookie.hash_for(consent.id) == consent.browser_hash
        context = consent.context
        return OwnConsent(
            consent, is_here, context.authorization_url if is_here else None, context.device if is_here else None
        )

    async def address(
        self, who: Principal, workspace_id: str, consent_id: str, cookies: Mapping[str, str]
    ) -> str | None:
        """Return where this browser goes on at the provider, its request pushed anew if it is pushed; None if nowhere.

        Raises:
            NotFound: there is no such consent, or somebody else started it.
            ProviderError, ProviderUnavailable: the server does not take the request.
            KeyrackError: the consent may not be finished any more.
        """
        found = await self.look(who, workspace_id, consent_id, cookies)
        waits = found.consent.status is ConsentStatus.pending and found.address is not None
        return await self._start.address(found.consent) if waits else None


def _asked_beside(secret: AuthSecret) -> Mapping[str, str]:
    """Return the further parameters that the consent before was asked with (contract 15.1)."""
    try:
        given = json.loads(secret.credentials.get("additional_params") or "{}")
    except (TypeError, ValueError):
        return {}
    return {name: value for name, value in given.items() if isinstance(value, str)} if isinstance(given, dict) else {}
