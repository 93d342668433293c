"""Makes the protocol's client profile from an auth client (contract section 14, 15.3, 20.3)."""

from urllib.parse import urlsplit

from keyrack.crypto.secret import Secret
from keyrack.descriptor.model import OAuth2Block
from keyrack.descriptor.oauth_blocks import SENDS_ISS
from keyrack.model.clients import AuthClient
from keyrack.oauth.client_auth import METHOD_OF, TokenEndpointAuthMethod
from keyrack.oauth.instagram import exchange_endpoint
from keyrack.oauth.profile import ClientProfile

INSTAGRAM = "oauth2_instagram"
"""Type of auth clients whose tokens are exchanged for long-lived ones (contract section 14)."""


def client_profile(client: AuthClient, auth_method: str | None = None) -> ClientProfile:
    """Return what a consent or refresh with an oauth2 auth client needs to know.

    Args:
        client: of an oauth2 type.
        auth_method: client authentication that a component declared, remembered with a secret (contract 20.3). It
            counts where the client itself does not say how it authenticates, and never for a global client: a
            component's developer speaks for one tenant, and that client serves all.
    """
    given = client.credentials
    remembered = None if _says_itself(client) else auth_method
    return ClientProfile(
        client_id=given["client_id"],
        client_secret=Secret(given.get("client_secret") or ""),
        authorization_endpoint=given["auth_uri"],
        token_endpoint=given["token_uri"],
        refresh_endpoint=given.get("refresh_token_uri") or given["token_uri"],
        token_endpoint_auth_method=TokenEndpointAuthMethod(remembered) if remembered else own_method(client),
        pkce=given.get("pkce") is not False,
        issuer=given.get("issuer"),
        sends_iss=given.get(SENDS_ISS),
        long_lived_endpoint=long_lived_endpoint(client),
    )


def is_global(client: AuthClient) -> bool:
    """Tell whether a client belongs to the installation, and so serves all tenants."""
    return not client.tenant_id


def own_method(client: AuthClient) -> TokenEndpointAuthMethod:
    """Return the client authentication that a client itself asks for."""
    return METHOD_OF[client.credentials.get("client_auth") or "post"]


def declared_method(client: AuthClient, block: OAuth2Block | None) -> str | None:
    """Return the client authentication that a component declares for a client (contract 20.3).

    None where the client has its own or is global, or the component declares none beside the default; then it is the
    client's own.

    Args:
        client: of an oauth2 type.
        block: the component's.
    """
    declared = METHOD_OF.get((block.client_auth if block else None) or "post")  # unknown ones are as none (19.2)
    if _says_itself(client) or declared in (None, METHOD_OF["post"]):
        return None
    return declared.value


def _says_itself(client: AuthClient) -> bool:
    """Tell whether a component has no say in how a client authenticates."""
    return client.credentials.get("client_auth") is not None or is_global(client)


def long_lived_endpoint(client: AuthClient) -> str | None:
    """Return where a client's first tokens are exchanged for long-lived ones; None: not at all, or not known where."""
    if client.type != INSTAGRAM:
        return None
    return exchange_endpoint(client.credentials.get("refresh_token_uri") or client.credentials["token_uri"])


def refresh_host(client: AuthClient) -> str:
    """Return the host that refresh requests of a client go to; empty if its address names none."""
    return urlsplit(_refresh_uri(client)).hostname or ""


def refresh_origin(client: AuthClient) -> str:
    """Return scheme, host and port that refresh requests of a client go to, as `origin_of`."""
    return origin_of(_refresh_uri(client))


def _refresh_uri(client: AuthClient) -> str:
    return str(client.credentials.get("refresh_token_uri") or client.credentials["token_uri"])


def origin_of(uri: str) -> str:
    """Return scheme, host and port of a URI: what a provider's budget and circuit are kept for."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
