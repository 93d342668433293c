"""Client authentication at the token endpoint (RFC 6749 section 2.3)."""

from base64 import b64encode
from enum import StrEnum
from urllib.parse import quote_plus

from keyrack.crypto.secret import Secret

Form = tuple[tuple[str, str], ...]


class TokenEndpointAuthMethod(StrEnum):
    """Names of RFC 7591 section 2, `token_endpoint_auth_method`."""

    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105 - the name of a method
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - the name of a method
    NONE = "none"


def authenticate(
    form: Form,
    method: TokenEndpointAuthMethod,
    client_id: str,
    client_secret: Secret,
) -> tuple[Form, Secret | None]:
    """Add client authentication to the body of a token request (contract section 20.3).

    Args:
        form: the grant's own parameters.
        method: how the client authenticates.
        client_id: the client identifier.
        client_secret: the client's password; not sent with `none`.

    Returns:
        The body to send, and the value of the `Authorization` header or None. With `client_secret_basic`
        neither id nor secret is in the body; with `none` only the id is (RFC 6749 section 3.2.1).
    """
    if method is TokenEndpointAuthMethod.CLIENT_SECRET_BASIC:
        return form, _basic(client_id, client_secret)
    form = (*form, ("client_id", client_id))
    if method is TokenEndpointAuthMethod.CLIENT_SECRET_POST:
        form = (*form, ("client_secret", client_secret.reveal()))
    return form, None


def _basic(client_id: str, client_secret: Secret) -> Secret:
    """Return a Basic header; both values are form-encoded first (RFC 6749 section 2.3.1 and appendix B)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret.reveal())}"
    return Secret("Basic " + b64encode(pair.encode("ascii")).decode("ascii"))
