"""Finds the metadata of authorization servers for new clients (RFC 8414, OpenID Connect Discovery 1.0).

`consents.server_metadata` remembers what issuers say while people connect, and a silent one stops nobody. Here somebody
waits for a client to be made of the answer, so it is asked for anew, and whoever waits is told what is wrong with it.
"""

import asyncio
from dataclasses import fields

from keyrack.errors import Problem, ProviderUnavailable, ValidationFailed
from keyrack.oauth.issuer import IssuerMetadata, metadata_requests, named_issuer, process_metadata
from keyrack.oauth.wire import QueryRequest, RawResponse
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_issuer, check_uri
from keyrack.service.secrets.refresh.sending import send

_LONGEST = 20.0
"""Seconds that asking one server may take in all."""
_ENDS = ("_endpoint", "jwks_uri")
_OK = 200


class AuthorizationServers:
    """Asks authorization servers about themselves.

    Args:
        provider: calls them, within the bounds of address, time and size that hold for every call.
        allow_insecure: accept http addresses and private ones.
    """

    def __init__(self, provider: ProviderClient, *, allow_insecure: bool) -> None:
        self._provider = provider
        self._allow_insecure = allow_insecure

    async def find(self, issuer: str, *, tenant_id: str, pointer: str | None) -> IssuerMetadata:
        """Return what an issuer says about itself, every address in it one that may be called.

        Args:
            issuer: who is asked (RFC 8414 section 2).
            tenant_id: whose connections are used.
            pointer: JSON pointer of what named the issuer, for the error.

        Raises:
            ValidationFailed: it cannot be an issuer, has no metadata, has another's (RFC 8414 section 3.3), or it names
                an address that may not be called.
            ProviderUnavailable: it did not answer.
        """
        check_issuer(issuer, allow_insecure=self._allow_insecure, pointer=pointer)
        try:
            async with asyncio.timeout(_LONGEST):
                found = await self._ask(issuer, tenant_id, pointer)
        except TimeoutError:
            raise ProviderUnavailable("The authorization server did not answer in time.") from None
        for member in fields(found):
            address = getattr(found, member.name)
            if member.name.endswith(_ENDS) and address is not None:
                self._check(member.name, address, pointer)
        return found

    async def _ask(self, issuer: str, tenant_id: str, pointer: str | None) -> IssuerMetadata:
        other, unavailable = None, None
        for request in metadata_requests(issuer, oauth_first=True):
            try:
                answer = await self._get(request, tenant_id)
            except ProviderUnavailable as error:
                unavailable = unavailable or error
                continue
            found = process_metadata(answer, issuer)
            if found is not None:
                return found
            other = other or (answer.status == _OK and named_issuer(answer))
        if other:
            problem = "its metadata names another issuer; give that one if it is who you mean (RFC 8414 section 3.3)"
            raise ValidationFailed(Problem(problem, pointer))
        if unavailable is not None:
            raise unavailable
        raise ValidationFailed(Problem("has no metadata where RFC 8414 and OpenID Connect Discovery have it", pointer))

    async def _get(self, request: QueryRequest, tenant_id: str) -> RawResponse:
        """Send a question, once more if the connection breaks."""
        try:
            return await send(self._provider, request, tenant_id=tenant_id)
        except ProviderUnavailable as error:
            if error.failure.sent is False:
                raise
            return await send(self._provider, request, tenant_id=tenant_id)

    def _check(self, name: str, address: str, pointer: str | None) -> None:
        try:
            check_uri(address, allow_insecure=self._allow_insecure)
        except ValidationFailed as wrong:
            raise ValidationFailed(
                Problem(f"its metadata has a {name} that cannot be used: {wrong}", pointer)
            ) from None
        if "{" in address or "}" in address:
            raise ValidationFailed(Problem(f"its metadata has a {name} with braces", pointer))
