"""An auth client as the protocol sees it (contract section 14, 15.3, 20.3)."""

from urllib.parse import urlsplit

from keyrack.crypto.secret import Secret
from keyrack.grants import AuthClient
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.instagram import exchange_endpoint
from keyrack.oauth.profile import ClientProfile

INSTAGRAM = "oauth2_instagram"
"""Type of auth clients whose tokens are exchanged for long-lived ones (contract section 14)."""


def client_profile(client: AuthClient, auth_method: str | None = None) -> ClientProfile:
    """Return what a consent or refresh with an oauth2 auth client needs to know.

    Args:
        client: of an oauth2 type.
        auth_method: client authentication remembered with a secret (contract 20.3); None: the client's own choice.
    """
    given = client.credentials
    chosen = TokenEndpointAuthMethod.CLIENT_SECRET_POST
    if given.get("client_auth") == "basic":
        chosen = TokenEndpointAuthMethod.CLIENT_SECRET_BASIC
    return ClientProfile(
        client_id=given["client_id"],
        client_secret=Secret(given["client_secret"]),
        authorization_endpoint=given["auth_uri"],
        token_endpoint=given["token_uri"],
        refresh_endpoint=given.get("refresh_token_uri") or given["token_uri"],
        token_endpoint_auth_method=TokenEndpointAuthMethod(auth_method) if auth_method else chosen,
        pkce=given.get("pkce") is not False,
        long_lived_endpoint=long_lived_endpoint(client),
    )


def long_lived_endpoint(client: AuthClient) -> str | None:
    """Return where a client's first tokens are exchanged for long-lived ones; None: not at all, or not known where."""
    if client.type != INSTAGRAM:
        return None
    return exchange_endpoint(client.credentials.get("refresh_token_uri") or client.credentials["token_uri"])


def refresh_host(client: AuthClient) -> str:
    """Return the host that refresh requests of a client go to; empty if its address names none."""
    return urlsplit(client.credentials.get("refresh_token_uri") or client.credentials["token_uri"]).hostname or ""


def origin_of(uri: str) -> str:
    """Return scheme, host and port of a URI: what a provider's budget and circuit are kept for."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
