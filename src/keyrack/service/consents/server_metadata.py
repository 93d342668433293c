"""Fetches and remembers metadata and keys of authorization servers (RFC 8414, 9207).

A server that does not answer never keeps anybody from connecting: then nothing is known of it, as if it said nothing.
What was learned is kept in memory for a while; it is the issuer's own word, so it is the same for all tenants.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from keyrack.errors import KeyrackError, ProviderUnavailable
from keyrack.oauth.id_token import PublicKey
from keyrack.oauth.issuer import IssuerMetadata, metadata_requests, process_keys, process_metadata
from keyrack.oauth.wire import QueryRequest, RawResponse
from keyrack.provider.client import ProviderClient
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.secrets.refresh.sending import send

log = structlog.get_logger()

KEPT = 3600.0
"""Seconds for which metadata and keys count."""
FAILED = 60.0
"""Seconds after which an issuer is asked again that did not answer."""
WAIT = 3.0
"""Seconds a person in front of a callback waits for an issuer's metadata or keys."""
NEWER = 10.0
"""Seconds between two looks for a key that was not there."""
_ASKING = 15.0
"""Seconds that asking one issuer may take in all."""
_AT_ONCE = 20
"""Issuers asked at a time, so that slow ones do not take the connections of refreshes."""
_MOST = 256


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an issuer; times are the timer's."""

    metadata: IssuerMetadata | None
    keys: Sequence[PublicKey] | None
    fetched_at: float
    until: float


class ServerMetadata:
    """Asks issuers about themselves, each once at a time.

    Args:
        provider: calls them, within the bounds of address, time and size that hold for every call.
        timer: seconds that only go forward.
        wait: how long a caller waits at most; the question goes on.
    """

    def __init__(
        self, provider: ProviderClient, timer: Callable[[], float] = time.monotonic, *, wait: float = WAIT
    ) -> None:
        self._provider = provider
        self._timer = timer
        self._wait = wait
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Stop asking."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def prepare(self, issuer: str, *, tenant_id: str) -> None:
        """Begin to ask, so that the answer is there when it is needed; returns at once."""
        if not self._is_fresh(issuer):
            self._ask(issuer, tenant_id)

    async def sends_iss(self, issuer: str, *, tenant_id: str) -> bool:
        """Tell whether an issuer announces that its callbacks name it (RFC 9207 section 3); no, if it is not known."""
        known = await self._of(issuer, tenant_id)
        return known is not None and known.metadata is not None and known.metadata.sends_iss

    async def metadata(self, issuer: str, *, tenant_id: str, newer: bool = False) -> IssuerMetadata | None:
        """Return what an issuer says about itself, or None if it cannot be had.

        Args:
            issuer: who is asked.
            tenant_id: whose connections are used.
            newer: somebody looks whether it is right now: ask again, unless that was done just now.
        """
        if newer:
            self._outdated(issuer)
        known = await self._of(issuer, tenant_id)
        return None if known is None else known.metadata

    async def userinfo_endpoint(self, issuer: str, *, tenant_id: str) -> str | None:
        """Return where an issuer tells whose a token is, or None if it is not known."""
        known = await self._of(issuer, tenant_id)
        return None if known is None or known.metadata is None else known.metadata.userinfo_endpoint

    async def keys(self, issuer: str, *, tenant_id: str, newer: bool = False) -> Sequence[PublicKey] | None:
        """Return an issuer's public keys, or None if they cannot be had.

        Args:
            issuer: whose keys.
            tenant_id: whose connections are used.
            newer: one was not among those that are known: ask again, unless that was done just now.
        """
        if newer:
            self._outdated(issuer)
        known = await self._of(issuer, tenant_id)
        return None if known is None else known.keys

    def _outdated(self, issuer: str) -> None:
        known = self._known.get(issuer)
        if known is not None and self._timer() - known.fetched_at >= NEWER:
            self._known[issuer] = replace(known, until=self._timer())

    async def _of(self, issuer: str, tenant_id: str) -> _Known | None:
        if not self._is_fresh(issuer):
            await asyncio.wait({self._ask(issuer, tenant_id)}, timeout=self._wait)
        return self._known.get(issuer)

    def _is_fresh(self, issuer: str) -> bool:
        known = self._known.get(issuer)
        return known is not None and self._timer() < known.until

    def _ask(self, issuer: str, tenant_id: str) -> "asyncio.Task[None]":
        task = self._asking.get(issuer)
        if task is None:
            task = asyncio.create_task(self._learn(issuer, tenant_id), name=f"metadata of {origin_of(issuer)}")
            self._asking[issuer] = task
            task.add_done_callback(lambda _: self._asking.pop(issuer, None))
        return task

    async def _learn(self, issuer: str, tenant_id: str) -> None:
        before, metadata, keys = self._known.get(issuer), None, None
        with suppress(KeyrackError, TimeoutError):
            async with self._at_once, asyncio.timeout(_ASKING):
                metadata = await self._metadata(issuer, tenant_id)
                if metadata is not None and metadata.jwks_uri is not None:
                    keys = process_keys(await self._get(QueryRequest(metadata.jwks_uri, ()), tenant_id))
        failed = metadata is None or (keys is None and metadata.jwks_uri is not None)
        if failed:
            log.info("an issuer's metadata or keys cannot be had", issuer=origin_of(issuer))
        now = self._timer()
        if metadata is None and before is not None:
            metadata = before.metadata  # what it once announced is not taken back by an outage
        self._known[issuer] = _Known(metadata, keys, now, now + (FAILED if failed else KEPT))
        self._known.move_to_end(issuer)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)

    async def _metadata(self, issuer: str, tenant_id: str) -> IssuerMetadata | None:
        for request in metadata_requests(issuer):
            found = process_metadata(await self._get(request, tenant_id), issuer)
            if found is not None:
                return found
        return None

    async def _get(self, request: QueryRequest, tenant_id: str) -> RawResponse:
        """Send a request, once more if the connection breaks: unlike a code, a question may be sent twice."""
        try:
            return await send(self._provider, request, tenant_id=tenant_id)
        except ProviderUnavailable:
            return await send(self._provider, request, tenant_id=tenant_id)
