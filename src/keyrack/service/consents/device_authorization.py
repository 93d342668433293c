"""Starts a consent that a person finishes on any device: gets the codes, has the server asked for tokens (RFC 8628).

What follows is the worker's: `device_polling`.
"""

from dataclasses import replace
from datetime import timedelta

from keyrack.clock import Clock
from keyrack.errors import ProviderError, ValidationFailed
from keyrack.model.consents import Consent, DeviceCodes
from keyrack.oauth.device import build_device_authorization_request, process_device_authorization_response
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.consents.values import PlannedConsent
from keyrack.service.secrets.refresh.sending import send
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.store.device_polls import DevicePollRows

LONGEST = timedelta(hours=1)
"""For how long a code can be entered, however long the server would wait: so long at most its server is asked."""


class DeviceAuthorizations:
    """Asks for the codes of devices.

    A lost answer loses nothing: nobody has agreed to anything yet, so the request is not in the journal.

    Args:
        store: where consents are.
        provider: calls authorization servers.
        clock: the time.
        allow_insecure: accept http addresses.
    """

    def __init__(self, store: Store, provider: ProviderClient, clock: Clock, *, allow_insecure: bool) -> None:
        self._store = store
        self._provider = provider
        self._clock = clock
        self._allow_insecure = allow_insecure

    async def begin(self, consent: Consent, planned: PlannedConsent) -> Consent:
        """Get the codes for a pending consent and return it with them; its end is theirs from now on.

        No transaction is open meanwhile.

        Raises:
            ProviderError, ProviderUnavailable: there are none.
            ValidationFailed: the provider cannot be asked.
        """
        profile, context = planned.profile, consent.context
        request = build_device_authorization_request(
            profile,
            profile.device_authorization_endpoint or "",
            scope=planned.scope,
            extra={**planned.extra, **context.additional_params},
        )
        answer = await send(self._provider, request, tenant_id=consent.tenant_id)
        made = process_device_authorization_response(answer, (profile.client_secret,))
        for address in filter(None, (made.verification_uri, made.verification_uri_complete)):
            self._require_visitable(address)
        now = self._clock()
        codes = DeviceCodes(
            device_code=made.device_code,
            user_code=made.user_code,
            verification_uri=made.verification_uri,
            verification_uri_complete=made.verification_uri_complete,
            interval=made.interval,
        )
        ready = replace(
            consent,
            context=replace(context, device=codes),
            expires_at=now + min(timedelta(seconds=made.expires_in), LONGEST),
        )
        async with self._store.unit(consent.tenant_id, writes=True) as unit:
            await ConsentRows(unit).renew(consent.id, ready.context, ready.expires_at)
            first = min(now + timedelta(seconds=made.interval), ready.expires_at)
            await DevicePollRows(unit).add(consent.id, made.interval, first)
        return ready

    def _require_visitable(self, address: str) -> None:
        """Refuse an address that nobody should be sent to, as an authorization endpoint would be."""
        try:
            check_uri(address, allow_insecure=self._allow_insecure)
        except ValidationFailed:
            raise ProviderError("The authorization server names an address that cannot be visited.") from None
