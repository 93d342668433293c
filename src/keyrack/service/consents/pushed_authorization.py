"""Pushes authorization requests where the provider wants that, and anew when the browser sets out (RFC 9126).

A `request_uri` lives for a minute or so and works once, a consent for longer: its address is made when somebody goes
there, as far as that is done over a page of ours.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from keyrack.clock import Clock
from keyrack.errors import ProviderError
from keyrack.model.consents import Consent, PushedParameters
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.pushed_authorization import (
    build_pushed_request,
    process_pushed_response,
    pushed_authorization_url,
)
from keyrack.provider.client import ProviderClient
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.consents.values import PlannedConsent
from keyrack.service.secrets.refresh.sending import send
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory

_NOWHERE = (
    "The provider profile has requests pushed, but names no endpoint for that, and the issuer's metadata does not"
    " either, or cannot be had now."
)


class PushedAuthorizations:
    """Pushes what a browser would otherwise carry.

    A lost answer loses nothing: nobody has agreed to anything yet, so the request is not in the journal.

    Args:
        store: where consents are.
        provider: calls authorization servers.
        completion: judges whether a consent may still be finished.
        issuers: what is known of authorization servers.
        clock: the time.
    """

    def __init__(
        self,
        store: Store,
        provider: ProviderClient,
        completion: ConsentCompletion,
        issuers: ServerMetadata,
        clock: Clock,
    ) -> None:
        self._store = store
        self._provider = provider
        self._completion = completion
        self._issuers = issuers
        self._clock = clock

    async def begin(self, consent: Consent, planned: PlannedConsent, parameters: Mapping[str, str]) -> Consent:
        """Push the request of a pending consent, if the profile or the issuer's metadata has it pushed.

        No transaction is open meanwhile.

        Returns:
            The consent with the address that the browser begins at.

        Raises:
            ProviderError, ProviderUnavailable: the server does not take it.
            ValidationFailed: the provider cannot be asked.
        """
        endpoint = await self._endpoint(planned, consent.tenant_id)
        if endpoint is None:
            return consent
        return await self._push(consent, planned.profile, endpoint, parameters)

    async def address(self, consent: Consent) -> str | None:
        """Return where the browser of a pending consent begins, having pushed its request anew if it was pushed.

        Raises:
            KeyrackError: the consent may not be finished any more, or the server does not take the request.
        """
        pushed = consent.context.pushed
        if pushed is None:
            return consent.context.authorization_url
        async with self._store.installation() as unit:
            place = await Directory(unit).workspace(consent.workspace_id)
        if place is None:
            return None
        who = await self._completion.person(consent, None, None)
        destination = await self._completion.destination(consent, place, who)
        renewed = await self._push(consent, destination.profile, pushed.endpoint, pushed.parameters)
        return renewed.context.authorization_url

    async def _push(
        self, consent: Consent, profile: ClientProfile, endpoint: str, parameters: Mapping[str, str]
    ) -> Consent:
        request = build_pushed_request(profile, endpoint, parameters)
        answer = await send(self._provider, request, tenant_id=consent.tenant_id)
        made = process_pushed_response(answer, (profile.client_secret,))
        until = self._clock() + timedelta(seconds=made.expires_in)
        context = replace(
            consent.context,
            authorization_url=pushed_authorization_url(profile, made.request_uri),
            pushed=PushedParameters(endpoint=endpoint, parameters=dict(parameters), expires_at=until),
        )
        async with self._store.unit(consent.tenant_id, writes=True) as unit:
            await ConsentRows(unit).renew(consent.id, context, consent.expires_at)
        return replace(consent, context=context)

    async def _endpoint(self, planned: PlannedConsent, tenant_id: str) -> str | None:
        """Return where the request is pushed; None if it is not.

        What an issuer's metadata says counts where the client's maker has named the issuer: it decides whom the
        client's secret is told to.

        Raises:
            ProviderError: the profile has it pushed, and nobody says where.
        """
        profile, issuer = planned.profile, planned.own_issuer
        asked_for = profile.provider is not None and profile.provider.authorization.pushed
        if asked_for and profile.pushed_authorization_endpoint is not None:
            return profile.pushed_authorization_endpoint
        known = None if issuer is None else await self._issuers.metadata(issuer, tenant_id=tenant_id)
        named = None if known is None else known.pushed_authorization_request_endpoint
        if asked_for and named is None:
            raise ProviderError(_NOWHERE)
        return named if asked_for or (known is not None and known.requires_pushed_requests) else None
