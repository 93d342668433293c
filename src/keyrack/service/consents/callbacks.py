"""Takes callbacks: consumes the state, has the code exchanged, tells the browser how it ended (contract 20, 21).

What comes of the provider's answer: `completion`. A second delivery: `second_delivery`.
"""

from collections.abc import Mapping
from dataclasses import replace

from keyrack.clock import Clock
from keyrack.errors import DatabaseUnavailable, KeyrackError, ProviderError
from keyrack.model.consents import Consent, ConsentStatus
from keyrack.model.identity import Principal
from keyrack.service.consents.browser import cookie_of, is_secure, new_cookie
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.service.consents.failure_text import reason_of, said_by_provider
from keyrack.service.consents.protocols import CALLBACKS, ConsentCallback
from keyrack.service.consents.return_url import with_result
from keyrack.service.consents.second_delivery import SecondDeliveries
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.consents.values import ConsentExpired, ConsentHandlers, ConsentOutcome, OtherBrowser, UnknownState
from keyrack.service.tenancy.redirect_uris import issuer_name_in
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory, Location

_ELSEWHERE = (
    "The answer came from another authorization server than the one that was asked: it arrived at the address of that"
    " other one. Nothing was connected, and its code was sent to nobody."
)


class ConsentCallbacks:
    """Finishes consents that a browser comes back for.

    Args:
        store: where they are.
        completion: asks for tokens, and does with them what is to be done.
        targets: what consents make.
        issuers: what is known of authorization servers.
        clock: the time.
    """

    def __init__(
        self,
        store: Store,
        completion: ConsentCompletion,
        targets: ConsentHandlers,
        issuers: ServerMetadata,
        clock: Clock,
    ) -> None:
        self._store = store
        self.completion = completion
        self._targets = targets
        self._issuers = issuers
        self._clock = clock
        self.second = SecondDeliveries(store, targets, clock)

    async def finish(
        self,
        protocol: str,
        params: Mapping[str, str],
        cookies: Mapping[str, str],
        address: str | None,
        request_id: str | None,
        issuer_name: str = "",
    ) -> ConsentOutcome:
        """Take a callback: consume the state, exchange the code, store what comes of it (contract 20.3, 20.4, 21).

        What was delivered before is told again and nothing is done again: to the same browser, or within a minute
        (0.21). While the first delivery is being dealt with, the second waits for it.

        Args:
            protocol: whose callback it is.
            params: the callback's query parameters.
            cookies: of the browser.
            address: where the browser is, for the audit log.
            request_id: the request's id, for the audit log.
            issuer_name: whose redirect URI it came to; empty: the documented one.

        Raises:
            UnknownState: the state, or OAuth 1.0a's token, is unknown or used; nothing was stored.
            ConsentExpired: it was ours, and it is too late.
            OtherBrowser: the consent is bound to another browser; nothing was used up.
            DatabaseUnavailable: the database is gone. If the provider's answer has come, it is safe, and what comes
                of it is stored once the database is back.
        """
        arrived, spoken = self._clock(), CALLBACKS[protocol]
        consent, place, hashed = await self._find(spoken, params)
        secure = is_secure(consent.context.redirect_uri or "https://")
        known = cookie_of(cookies, secure=secure)
        mine = None if known is None else known.hash_for(consent.id)
        if consent.bound and (mine is None or mine != consent.browser_hash):
            raise OtherBrowser
        if consent.status is ConsentStatus.pending:
            if consent.expires_at <= arrived:
                raise ConsentExpired
            iss_required = await self._iss_required(consent, params)
            cookie = known or new_cookie(secure=secure)
            told = spoken.learned(consent, params)
            learned = replace(consent, context=replace(consent.context, learned=told)) if told else None
            async with self._store.unit(place.tenant_id, writes=True) as unit:
                taken = await ConsentRows(unit).consume(hashed, self._clock(), cookie.hash_for(consent.id), learned)
            if taken is not None:
                who = await self.completion.person(taken, address, request_id)
                ended = await self._finish_first(taken, place, who, params, issuer_name, iss_required=iss_required)
                return await self._reported(replace(ended, cookie=cookie), consent)
        if not _came_to(consent, issuer_name):
            raise UnknownState
        return await self._reported(await self.second.answer(consent.id, place, mine, arrived), consent)

    async def _reported(self, ended: ConsentOutcome, consent: Consent) -> ConsentOutcome:
        """Add what the page is told that opened the consent's connect link, if it has one."""
        if consent.context.connect_link_id is None or ended.under_way:
            return ended
        async with self._store.unit(consent.tenant_id) as unit:
            return replace(ended, report=await self.completion.links.report(unit, consent))

    async def _finish_first(
        self,
        consent: Consent,
        place: Location,
        who: Principal,
        params: Mapping[str, str],
        issuer_name: str,
        *,
        iss_required: bool,
    ) -> ConsentOutcome:
        return_url, completion = consent.context.return_url, self.completion
        try:
            with completion.finishing(consent):
                if not _came_to(consent, issuer_name):
                    raise ProviderError(_ELSEWHERE)
                granted = CALLBACKS[consent.context.protocol].granted(consent, params, iss_required=iss_required)
                attempt, answer, destination = await completion.ask(consent, place, who, granted)
                result_id = await completion.complete(consent, place, who, attempt, answer, destination, granted)
        except DatabaseUnavailable:
            raise
        except KeyrackError as error:
            await completion.fail(consent, place, who, error)
            return ConsentOutcome(reason_of(error), said_by_provider(error), return_url)
        parameter = self._targets.of(consent.auth_client_id).parameter
        return ConsentOutcome(None, return_url=with_result(return_url, parameter, result_id))

    async def _iss_required(self, consent: Consent, params: Mapping[str, str]) -> bool:
        """Tell whether a callback without `iss` cannot be from the issuer that is expected (RFC 9207 section 2.4)."""
        issuer, configured = consent.context.issuer, consent.context.sends_iss
        if issuer is None or "iss" in params:
            return False
        if configured is not None:
            return configured
        return await self._issuers.sends_iss(issuer, tenant_id=consent.tenant_id)

    async def _find(self, protocol: ConsentCallback, params: Mapping[str, str]) -> tuple[Consent, Location, str]:
        """Return the consent of a callback, where it is, and the hash that it is stored under."""
        for parameter, hashed in protocol.lookup(params):
            async with self._store.installation() as unit:
                place = await Directory(unit).consent_by_state(hashed)
            if place is None:
                continue
            async with self._store.unit(place.tenant_id) as unit:
                consent = await ConsentRows(unit).by_state(hashed)
            if consent is not None and protocol.is_of(consent, parameter):
                return consent, place, hashed
        raise UnknownState


def _came_to(consent: Consent, issuer_name: str) -> bool:
    """Tell whether a callback came to its consent's redirect URI (RFC 9700 section 4.4.2.2).

    Hosts are not compared: proxies may call us by another name, and no authorization server chooses among those.
    """
    return (issuer_name_in(consent.context.redirect_uri) or "") == issuer_name
