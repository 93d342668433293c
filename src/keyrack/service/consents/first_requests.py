"""Sends what a provider has to be sent before anybody can agree there, whatever the protocol."""

from collections.abc import Mapping
from dataclasses import dataclass

from keyrack.errors import KeyrackError
from keyrack.model.consents import Consent
from keyrack.service.consents.device_authorization import DeviceAuthorizations
from keyrack.service.consents.oauth1_start import OAuth1Start
from keyrack.service.consents.protocols import DEVICE
from keyrack.service.consents.pushed_authorization import PushedAuthorizations
from keyrack.service.consents.values import PlannedConsent
from keyrack.service.tenancy.redirect_uris import OAUTH1
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store


@dataclass(frozen=True, slots=True)
class FirstRequests:
    """Of each protocol, its first request.

    Attributes:
        store: where consents are.
        temporary: asks for what an authorization of OAuth 1.0a needs.
        devices: asks for the codes of devices.
        pushed: pushes authorization requests.
    """

    store: Store
    temporary: OAuth1Start
    devices: DeviceAuthorizations
    pushed: PushedAuthorizations

    async def send(self, consent: Consent, planned: PlannedConsent, parameters: Mapping[str, str]) -> Consent:
        """Send it for a pending consent, and return the consent with what came of it. If it fails, so has the consent.

        Args:
            consent: as it was stored; no transaction is open.
            planned: what the request is made of.
            parameters: of the authorization request, if there is one.

        Raises:
            KeyrackError: the provider does not take it, or cannot be asked.
        """
        try:
            if consent.context.protocol == OAUTH1:
                return await self.temporary.ask(consent, planned.profile)
            if consent.context.protocol == DEVICE:
                return await self.devices.begin(consent, planned)
            return await self.pushed.begin(consent, planned, parameters)
        except KeyrackError as error:
            async with self.store.unit(consent.tenant_id, writes=True) as unit:
                await ConsentRows(unit).abandon(consent.id, error.problem.detail)
            raise
