"""Says what is to be registered by hand at a provider before a component's users can connect (contract 8, 19, 20.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from keyrack.descriptor.model import Descriptor, Generation
from keyrack.model.components import Component
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.service.consents.plan import readable_descriptor
from keyrack.service.tenancy.redirect_uris import OAUTH1, OAUTH2, redirect_uri


@dataclass(frozen=True, slots=True)
class RegistrationByHand:
    """What a component's descriptor asks of a client at its provider; members may be templates, and may be missing.

    Attributes:
        redirect_uri: to be registered at the provider, exactly.
        protocol: `oauth2` or `oauth1`; None where the descriptor has neither block.
        uses_oauth_client: it uses the tenant's OAuth client.
        brings_own_client: whoever connects enters a client of their own in a field.
        auth_client_types: types of auth clients that it takes instead.
        endpoints: addresses at the provider, each with its name in the descriptor.
        scopes: that it asks for.
        scope_text: the scopes where the descriptor has them as one text.
        client_auth: how it has the client authenticate, in the descriptor's word.
        pkce: whether a code challenge is sent (RFC 7636).
        issuer: of the provider (RFC 8414).
    """

    redirect_uri: str
    protocol: str | None = None
    uses_oauth_client: bool = False
    brings_own_client: bool = False
    auth_client_types: Sequence[str] = ()
    endpoints: Sequence[tuple[str, str]] = ()
    scopes: Sequence[str] = ()
    scope_text: str = ""
    client_auth: str = "post"
    pkce: bool = True
    issuer: str = ""

    @property
    def provider_address(self) -> str:
        """Scheme and host of the provider's authorization endpoint; empty where that is a template."""
        for name, address in self.endpoints:
            parts = urlsplit(address) if name == "auth_uri" and "{" not in address else None
            if parts is not None and parts.scheme in ("https", "http") and parts.hostname:
                return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return ""


class RegistrationsByHand:
    """Reads what descriptors ask for.

    Args:
        access: the way into every operation.
        public_url: the setting of this name.
    """

    def __init__(self, access: Access, public_url: str | None) -> None:
        self._access = access
        self._public_url = public_url

    async def redirect_uri(self, who: Principal, tenant_id: str, protocol: str = OAUTH2) -> str:
        """Return the address to which browsers come back in a tenant (contract 0.7, 20.1)."""
        async with self._access.tenant(who, tenant_id) as scope:
            return await redirect_uri(scope.unit, self._public_url, protocol)

    async def of(self, who: Principal, tenant_id: str, component: Component) -> RegistrationByHand:
        """Return what a component, which the caller has read, asks for; of one without a build little is known."""
        descriptor = readable_descriptor(component)
        protocol = _protocol(descriptor)
        address = await self.redirect_uri(who, tenant_id, protocol or OAUTH2)
        if descriptor is None:
            return RegistrationByHand(address, uses_oauth_client=component.uses_oauth_client)
        oauth2, oauth1 = descriptor.oauth2, descriptor.oauth1
        asked = RegistrationByHand(
            address,
            protocol,
            uses_oauth_client=descriptor.use_oauth_client and descriptor.generation is not Generation.SECRETS,
            brings_own_client=descriptor.uses_http_auth,
            auth_client_types=descriptor.auth_client_types,
        )
        if oauth2 is None:
            names = ("request_token_uri", "auth_uri", "access_token_uri") if oauth1 is not None else ()
            return replace(asked, endpoints=[(name, text) for name in names if (text := getattr(oauth1, name))])
        listed = [("auth_uri", oauth2.auth_uri), ("token_uri", oauth2.token_uri)]
        return replace(
            asked,
            endpoints=[(name, address) for name, address in listed if address],
            scopes=() if isinstance(oauth2.scopes, str) else oauth2.scopes or (),
            scope_text=oauth2.scopes if isinstance(oauth2.scopes, str) else "",
            client_auth=oauth2.client_auth or "post",
            pkce=oauth2.pkce,
            issuer=oauth2.issuer or "",
        )


def _protocol(descriptor: Descriptor | None) -> str | None:
    if descriptor is None:
        return None
    if descriptor.oauth2 is not None:
        return OAUTH2
    return OAUTH1 if descriptor.oauth1 is not None else None
