"""Finds out from a protected resource which authorization server it trusts (RFC 9728): servers of MCP are found so."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from keyrack.errors import Problem, ProviderUnavailable, ValidationFailed
from keyrack.oauth.issuer import IssuerMetadata
from keyrack.oauth.protected_resource import (
    BearerChallenge,
    ResourceMetadata,
    bearer_challenge,
    metadata_addresses,
    process_resource_metadata,
)
from keyrack.oauth.wire import JsonRequest, QueryRequest, RawResponse
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.discovery.authorization_servers import AuthorizationServers
from keyrack.service.secrets.refresh.sending import send

_MOST_SERVERS, _MAX_SHOWN = 3, 300
_LONGEST = 30.0
"""Seconds that finding out about one server may take in all."""
_REFUSED, _REDIRECTS, _NO_TOKEN = (401, 403), range(300, 400), BearerChallenge()
_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "keyrack", "version": "1"},
    },
}
"""What every client of MCP says first; without a token it is refused, and the refusal names the metadata."""


@dataclass(frozen=True, slots=True)
class FoundResource:
    """A protected resource and the authorization server that gives tokens for it.

    Attributes:
        resource: its identifier, for `resource` (RFC 8707).
        issuer: of the authorization server.
        server: what that says about itself.
        scopes: to ask for: those that the refusal named, else those that the metadata does.
    """

    resource: str
    issuer: str
    server: IssuerMetadata
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """The issuer of the authorization server that a caller expects, and where they said so, for the error."""

    issuer: str
    pointer: str


class ProtectedResources:
    """Asks protected resources about themselves.

    Args:
        provider: calls them, within the bounds of address, time and size that hold for every call.
        servers: asks authorization servers.
        allow_insecure: accept http addresses and private ones.
    """

    def __init__(self, provider: ProviderClient, servers: AuthorizationServers, *, allow_insecure: bool) -> None:
        self._provider = provider
        self._servers = servers
        self._allow_insecure = allow_insecure

    async def find(
        self, address: str, *, tenant_id: str, pointer: str, expected: Expected | None = None
    ) -> FoundResource:
        """Return what gives tokens for an MCP server.

        Its metadata is where its refusal says (RFC 9728 section 5), else at the well-known addresses. A server without
        any is taken to be its own authorization server, as the protocol had it until March 2025.

        Args:
            address: of the server, judged already.
            tenant_id: whose connections are used.
            pointer: JSON pointer of what named the server, for errors.
            expected: the authorization server that the caller expects; None: whichever the metadata names.

        Raises:
            ValidationFailed: it is no protected resource, its metadata is about another one, does not name the
                authorization server that is expected, or those that it names are none.
            ProviderUnavailable: it, or its authorization server, did not answer.
        """
        try:
            async with asyncio.timeout(_LONGEST):
                return await self._found(address, tenant_id, pointer, expected)
        except TimeoutError:
            raise ProviderUnavailable("The server and its authorization server took too long to answer.") from None

    async def _found(self, address: str, tenant_id: str, pointer: str, expected: Expected | None) -> FoundResource:
        challenge = await self._refusal(address, tenant_id, pointer)
        metadata = await self._metadata(address, challenge, tenant_id, pointer)
        if metadata is None:
            parts = urlsplit(address)
            metadata = ResourceMetadata(address, (f"{parts.scheme}://{parts.netloc}",))
        if not metadata.authorization_servers:
            raise ValidationFailed(Problem("its metadata names no authorization server", pointer))
        if expected is not None:
            metadata = replace(metadata, authorization_servers=(_expected(metadata, expected),))
        issuer, server = await self._server(metadata, tenant_id, pointer)
        return FoundResource(metadata.resource, issuer, server, challenge.scopes or metadata.scopes)

    async def _refusal(self, address: str, tenant_id: str, pointer: str) -> BearerChallenge:
        """Greet a server without a token; return what its refusal says."""
        hello = JsonRequest(address, _HELLO, accept="application/json, text/event-stream")
        answer = await self._ask(hello, tenant_id)
        if answer.status in _REDIRECTS:
            problem = "the server redirects elsewhere, which is not followed: give the address that it redirects to"
            raise ValidationFailed(Problem(problem, pointer))
        said = answer.headers.get("www-authenticate", "") if answer.status in _REFUSED else ""
        return bearer_challenge(said) or _NO_TOKEN

    async def _metadata(
        self, address: str, challenge: BearerChallenge, tenant_id: str, pointer: str
    ) -> ResourceMetadata | None:
        """Return a resource's metadata; None if it has none at the well-known addresses.

        Raises:
            ValidationFailed: what its refusal names is none, or is about another resource.
        """
        if challenge.resource_metadata:
            try:
                check_uri(challenge.resource_metadata, allow_insecure=self._allow_insecure)
            except ValidationFailed as wrong:
                problem = f"its refusal names metadata at an address that cannot be used: {wrong}"
                raise ValidationFailed(Problem(problem, pointer)) from None
            answer = await self._ask(QueryRequest(challenge.resource_metadata, ()), tenant_id)
            found = process_resource_metadata(answer, address)
            if found is None:
                problem = "the metadata that its refusal names is none, or is another resource's (RFC 9728 section 3.3)"
                raise ValidationFailed(Problem(problem, pointer))
            return found
        for request in metadata_addresses(address):
            found = process_resource_metadata(await self._ask(request, tenant_id), address)
            if found is not None:
                return found
        return None

    async def _server(self, metadata: ResourceMetadata, tenant_id: str, pointer: str) -> tuple[str, IssuerMetadata]:
        """Return the first of a resource's authorization servers that can be used; what is wrong is told of the first.

        Raises:
            ValidationFailed, ProviderUnavailable: none can.
        """
        first: ValidationFailed | ProviderUnavailable | None = None
        for issuer in metadata.authorization_servers[:_MOST_SERVERS]:
            try:
                return issuer, await self._servers.find(issuer, tenant_id=tenant_id, pointer=None)
            except (ValidationFailed, ProviderUnavailable) as wrong:
                first = first or wrong
        if isinstance(first, ValidationFailed):
            raise ValidationFailed(*_about_server(first, metadata.authorization_servers[0], pointer)) from None
        raise first or LookupError

    async def _ask(self, request: JsonRequest | QueryRequest, tenant_id: str) -> RawResponse:
        return await send(self._provider, request, tenant_id=tenant_id)


def _expected(metadata: ResourceMetadata, expected: Expected) -> str:
    """Return the issuer that is expected, if the resource names it.

    Raises:
        ValidationFailed: it names others.
    """
    if expected.issuer in metadata.authorization_servers:
        return expected.issuer
    named = ", ".join(each[:_MAX_SHOWN] for each in metadata.authorization_servers[:_MOST_SERVERS])
    raise ValidationFailed(Problem(f"the server does not name this one, but {named}", expected.pointer))


def _about_server(wrong: ValidationFailed, issuer: str, pointer: str) -> Iterator[Problem]:
    try:
        host = (urlsplit(issuer).hostname if "://" in issuer else None) or "?"
    except ValueError:  # it is no address
        host = "?"
    for problem in wrong.problems:
        yield Problem(f"its authorization server {host[:253]}: {problem.detail}", pointer)
