"""Client authentication at the token endpoint (RFC 6749 section 2.3)."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote_plus

from keyrack.crypto.secret import Secret
from keyrack.oauth.client_assertion import ASSERTION_TYPE, AssertionSigner, client_assertion

Form = tuple[tuple[str, str], ...]


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class TokenEndpointAuthMethod(StrEnum):
    """Names of RFC 7591 section 2, `token_endpoint_auth_method`, and one of ours."""

    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105 - the name of a method
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - the name of a method
    CLIENT_SECRET_BASIC_RAW = "client_secret_basic_raw"  # noqa: S105 - the name of a method
    """As `client_secret_basic`, without the encoding of RFC 6749 section 2.3.1: what RFC 7617 alone would send."""
    NONE = "none"
    CLIENT_SECRET_JWT = "client_secret_jwt"  # noqa: S105 - the name of a method
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS_CLIENT_AUTH = "tls_client_auth"
    """The certificate of the connection says who the client is (RFC 8705 section 2.1); the id is in the body."""
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"
    """The same with a certificate that the client itself has signed (RFC 8705 section 2.2)."""
    FIELDS = "fields"
    """Nothing of ours: parameters and headers of the provider's profile name id and secret."""


SIGNED = frozenset({TokenEndpointAuthMethod.CLIENT_SECRET_JWT, TokenEndpointAuthMethod.PRIVATE_KEY_JWT})
"""Methods with which a client signs and sends no secret; only a provider's profile asks for them."""

WITH_CERTIFICATE = frozenset(
    {TokenEndpointAuthMethod.TLS_CLIENT_AUTH, TokenEndpointAuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH}
)
"""Methods with which a client shows a certificate and sends no secret; only a provider's profile asks for them."""

METHOD_OF: Mapping[str, TokenEndpointAuthMethod] = {
    "post": TokenEndpointAuthMethod.CLIENT_SECRET_POST,
    "basic": TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
    "basic_raw": TokenEndpointAuthMethod.CLIENT_SECRET_BASIC_RAW,
    "none": TokenEndpointAuthMethod.NONE,
}
"""The methods by the words of `client_auth` (contract sections 19.2 and 0.23)."""


@dataclass(frozen=True, slots=True)
class RequestAuthentication:
    """How a client authenticates in one kind of request.

    Attributes:
        method: the method.
        signer: how the client signs; with a method of `SIGNED` only.
    """

    method: TokenEndpointAuthMethod
    signer: AssertionSigner | None = None


def authenticate(
    form: Form, by: RequestAuthentication, client_id: str, client_secret: Secret, endpoint: str
) -> tuple[Form, Secret | None]:
    """Add client authentication to the body of a token request (contract section 20.3).

    Args:
        form: the grant's own parameters.
        by: how the client authenticates.
        client_id: the client identifier.
        client_secret: the client's password; not sent with `none`, nor where the client signs.
        endpoint: where the request goes; the audience of what the client signs, unless its signer has another.

    Returns:
        The body to send, and the value of the `Authorization` header or None. With `client_secret_basic`
        neither id nor secret is in the body; with `none` and with certificates only the id is (RFC 6749 section 3.2.1).

    Raises:
        UnusableKeyError: the client signs, and its key does not go with the algorithm.
    """
    method = by.method
    if method is TokenEndpointAuthMethod.CLIENT_SECRET_BASIC:
        return form, _basic(quote_plus(client_id), quote_plus(client_secret.reveal()))
    if method is TokenEndpointAuthMethod.CLIENT_SECRET_BASIC_RAW:
        return form, _basic(client_id, client_secret.reveal())
    if method is TokenEndpointAuthMethod.FIELDS:
        return form, None
    form = (*form, ("client_id", client_id))
    if by.signer is not None and method in SIGNED:
        assertion = client_assertion(client_id, by.signer, endpoint)
        return (*form, ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.reveal())), None
    if method is TokenEndpointAuthMethod.CLIENT_SECRET_POST:
        form = (*form, ("client_secret", client_secret.reveal()))
    return form, None


def unfit_for(method: TokenEndpointAuthMethod, client_id: str, client_secret: str) -> dict[str, str]:
    """Return what keeps a client from authenticating by a method, by the member at fault.

    A Basic header without the encoding cannot carry a colon in the id or a control character (RFC 7617 section 2).
    """
    found: dict[str, str] = {}
    if method is not TokenEndpointAuthMethod.CLIENT_SECRET_BASIC_RAW:
        return found
    if ":" in client_id:
        found["client_id"] = "must not contain a colon with client_auth basic_raw"
    for name, value in (("client_id", client_id), ("client_secret", client_secret)):
        if _CONTROL.search(value):
            found[name] = "must not contain control characters with client_auth basic_raw"
    return found


def _basic(user: str, password: str) -> Secret:
    """Return a Basic header (RFC 7617 section 2), in UTF-8.

    RFC 6749 section 2.3.1 has id and secret form-encoded first (appendix B); many servers do not decode them.
    """
    return Secret("Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii"))
