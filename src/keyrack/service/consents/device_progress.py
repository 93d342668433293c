"""Tells the browser that began it how far a device's consent is: the codes, or how it ended (RFC 8628 section 3.3).

The code is shown to whoever began the consent, in the browser that pressed the button, and to nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from keyrack.clock import Clock
from keyrack.model.consents import Consent, ConsentIntroduction, ConsentStatus, DeviceCodes
from keyrack.service.consents.browser import cookie_of, is_secure
from keyrack.service.consents.connect_outcome import ConnectOutcomes
from keyrack.service.consents.protocols import DEVICE
from keyrack.service.consents.return_url import with_result
from keyrack.service.consents.values import ConsentHandlers, ConsentOutcome
from keyrack.store.core.store import Store

_EXPIRED = "The code was not entered in time, so nothing was connected. Start connecting again."


@dataclass(frozen=True, slots=True)
class DeviceProgress:
    """What a page says.

    Attributes:
        codes: what is to be entered where, while it can be; else None.
        told: who asks for what, as long as that is known.
        expires_at: until when the code can be entered.
        outcome: how it ended; None while it has not.
    """

    codes: DeviceCodes | None
    told: ConsentIntroduction | None
    expires_at: datetime
    outcome: ConsentOutcome | None


class DeviceProgressReader:
    """Reads it.

    Args:
        store: where consents are.
        targets: what consents make.
        clock: the time.
    """

    def __init__(self, store: Store, targets: ConsentHandlers, clock: Clock) -> None:
        self._store = store
        self._targets = targets
        self._links = ConnectOutcomes(targets)
        self._clock = clock

    async def of(self, consent: Consent | None, cookies: Mapping[str, str]) -> DeviceProgress | None:
        """Return how far a consent is; None if it is no device's, or was begun in another browser.

        Args:
            consent: found by a link that the browser has.
            cookies: of the browser.
        """
        if consent is None or consent.context.protocol != DEVICE:
            return None
        cookie = cookie_of(cookies, secure=is_secure(consent.context.redirect_uri))
        if cookie is None or consent.browser_hash != cookie.hash_for(consent.id):
            return None
        context = consent.context
        waits = consent.status in {ConsentStatus.pending, ConsentStatus.exchanging}
        if waits and consent.expires_at > self._clock():
            return DeviceProgress(context.device, context.introduction, consent.expires_at, None)
        return DeviceProgress(None, context.introduction, consent.expires_at, await self._outcome(consent))

    async def _outcome(self, consent: Consent) -> ConsentOutcome:
        context = consent.context
        report = None
        if context.connect_link_id is not None:
            async with self._store.unit(consent.tenant_id) as unit:
                report = await self._links.report(unit, consent)
        if consent.result_id is None:
            return ConsentOutcome(consent.error or _EXPIRED, return_url=context.return_url, report=report)
        parameter = self._targets.of(consent.auth_client_id).parameter
        return ConsentOutcome(
            None, return_url=with_result(context.return_url, parameter, consent.result_id), report=report
        )
