"""Calls authorization servers and webhooks; nothing else does (invariant 5; contract 15.3, 20.3)."""

import asyncio
from collections.abc import Mapping
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from keyrack import __version__
from keyrack.errors import KeyrackError
from keyrack.oauth.wire import RawResponse
from keyrack.provider.address_guard import ForbiddenAddressError
from keyrack.provider.client_certificates import ClientCertificates
from keyrack.provider.connection import AnswerConnector, BeforeSending, Call, call
from keyrack.provider.dpop_nonces import DPoPNonces
from keyrack.provider.egress import Egress
from keyrack.provider.egress_proxy import EgressProxy
from keyrack.provider.faults import Reason, answer_fault, fault_reason, unavailable
from keyrack.provider.name_lookup import BoundedLookups, NameServers
from keyrack.provider.outgoing import Outgoing, body_of, certificate_of, headers_of, method_of, url_of
from keyrack.provider.probe import ProbeResult, probe
from keyrack.provider.resolver import GuardedResolver, guarded_socket_factory
from keyrack.provider.shares import CallPlaces, calling_for
from keyrack.provider.trust import Authorities
from keyrack.provider.uri_guard import check_host, parse_uri

__all__ = ["BeforeSending", "ProviderClient"]

USER_AGENT = f"keyrack/{__version__}"

USUAL_HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    # Token answers are small, and what is not compressed cannot be a decompression bomb.
    "Accept-Encoding": "identity",
    "User-Agent": USER_AGENT,
}
"""Of every request, unless it has others of the name."""

_MAX_CALLS = 512

# Idle connections are kept for a burst of calls only. A server that closes one just as it is used again leaves
# unknown whether it saw the request, which may cost a one-time refresh token; common servers close after 5 s.
_KEEPALIVE_SECONDS = 2.0


class ProviderClient:
    """Sends requests to authorization servers and webhooks within bounds of address, time and size.

    Redirects are not followed, cookies not kept, nothing is sent twice. Proxies and credentials from the environment
    are not used: a proxy resolves names itself, behind the address guard, so the operator has to name one (`proxy`).

    One client serves one event loop; connections are made on first use. Close it, or use it in `async with`.

    Args:
        allow_insecure: accept `http` and private addresses (`KEYRACK_ALLOW_INSECURE_PROVIDERS`).
        timeout: seconds a call may take in all: waiting for a connection, DNS, TLS, sending, and reading the body.
        max_body_bytes: what is kept of an answer's body; a larger one is not read further.
        connections_per_host: calls to one host and port at a time; further ones wait within their time. These, and the
            512 in all, are divided among tenants.
        authorities: what certificates of servers are judged by.
        proxy: what servers are called through; None: they are called directly.
        resolver: what to ask for addresses, instead of the system's name servers; its answers are guarded all the same.

    Attributes:
        timeout: as given.
        dpop_nonces: what servers want the next proof to repeat (RFC 9449), kept by whoever makes proofs.
    """

    def __init__(
        self,
        *,
        allow_insecure: bool = False,
        timeout: float = 10.0,
        max_body_bytes: int = 1024 * 1024,
        connections_per_host: int = 20,
        authorities: Authorities | None = None,
        proxy: EgressProxy | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allow_insecure = allow_insecure
        self.timeout = timeout
        self.dpop_nonces = DPoPNonces()
        self._max_body_bytes = max_body_bytes
        self._places = CallPlaces(_MAX_CALLS, connections_per_host)
        self._authorities = authorities or Authorities()
        self._certificates = ClientCertificates(self._authorities)
        self._proxy = proxy
        self._resolver = resolver
        self._out: Egress | None = None
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; calls still running fail. May be called more than once."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self,
        request: Outgoing,
        before_sending: BeforeSending | None = None,
        *,
        tenant_id: str = "",
        seconds: float | None = None,
    ) -> RawResponse:
        """Send a request once and return whatever comes back, of any status, complete or not, valid or not.

        Args:
            request: what to send, and where.
            before_sending: the last moment to write down the intent or to call the request off. It counts towards
                the time of the call.
            tenant_id: for whom: whose shares the call uses. Empty: the installation.
            seconds: how long it may take, if that is less than usual.

        Returns:
            The answer as it came; its `fault` says what is wrong with it.

        Raises:
            ValidationFailed: the URL, a form value or the authorization cannot be sent; nothing was.
            KeyrackError: what `before_sending` raised; nothing was sent.
            ProviderUnavailable: nothing came back. `failure.reason` is a `keyrack.provider.faults.Reason`;
                `failure.sent` is False only if it is certain that nothing of the request was written. Nothing of
                the request or the cause is in the error or chained to it.
        """
        if self._closed:
            raise RuntimeError("this ProviderClient is closed")
        url = parse_uri(request.url, allow_insecure=self._allow_insecure)
        current = Call(before_sending)
        call.set(current)
        calling_for.set(tenant_id)
        reason = None
        try:
            most = self.timeout if seconds is None else min(seconds, self.timeout)
            async with asyncio.timeout(most), self._places.place(tenant_id, str(url.origin())):
                await self._exchange(url, request, tenant_id)
        except KeyrackError:
            raise
        except Exception as error:  # noqa: BLE001 - of what the HTTP library raises, only the kind may leave here
            reason = fault_reason(error)
        finally:
            call.set(None)
        answer = await current.answer(answer_fault(reason))
        if answer is not None:
            return answer
        # Raised outside of the handler: `from None` would hide the cause, which may hold tokens, yet keep it.
        raise unavailable(reason or Reason.CLOSED, sent=current.may_have_been_sent)

    async def probe(self, uri: str, *, tenant_id: str = "") -> ProbeResult:
        """Connect to an endpoint, send nothing, and tell how far that went.

        Args:
            uri: the endpoint.
            tenant_id: as in `send`.

        Raises:
            ValidationFailed: the URI cannot be called.
        """
        url = parse_uri(uri, allow_insecure=self._allow_insecure)
        calling_for.set(tenant_id)
        try:
            check_host(url, allow_insecure=self._allow_insecure)
            async with asyncio.timeout(self.timeout), self._places.place(tenant_id, str(url.origin())):
                return await probe(url, self._egress())
        except ForbiddenAddressError:
            return ProbeResult(Reason.FORBIDDEN_ADDRESS)
        except TimeoutError:
            return ProbeResult(Reason.TIMEOUT)

    def _egress(self) -> Egress:
        """Return how connections are made, one for all calls, since it remembers names."""
        if self._out is None:
            looking_up = self._resolver or BoundedLookups(NameServers())
            guarded = GuardedResolver(looking_up, allow_insecure=self._allow_insecure)
            self._out = Egress(guarded, looking_up, self._authorities.context(), self._allow_insecure, self._proxy)
        return self._out

    async def _exchange(self, url: URL, request: Outgoing, tenant_id: str) -> None:
        check_host(url, allow_insecure=self._allow_insecure)
        certificate = certificate_of(request)
        shown = True if certificate is None else await self._certificates.settings(certificate, tenant_id)
        async with self._opened().request(
            method_of(request),
            url_of(request, url),
            data=body_of(request),
            headers=headers_of(request),
            ssl=shown,
            allow_redirects=False,
        ):
            pass  # the answer is with the call

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            out = self._egress()
            connector = AnswerConnector(
                out,
                max_body_bytes=self._max_body_bytes,
                resolver=out.guarded,
                use_dns_cache=False,  # it waits behind another tenant's look-up; `BoundedLookups` remembers
                socket_factory=guarded_socket_factory(allow_insecure=self._allow_insecure),
                ssl=out.tls,
                limit=0,  # the places of calls are the limit: whoever holds one has a connection
                keepalive_timeout=_KEEPALIVE_SECONDS,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=USUAL_HEADERS,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                trust_env=False,
            )
            # Or aiohttp sends a GET again when the server closes a kept connection.
            self._session._retry_connection = False  # noqa: SLF001 - there is no other way to say so
        return self._session
