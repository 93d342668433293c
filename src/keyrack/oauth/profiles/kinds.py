"""The words of a provider profile: grants, formats, client authentication, proofs, each by a name of its own."""

from enum import StrEnum


class Grant(StrEnum):
    """How tokens are got; `grant_type` of RFC 6749 and its extensions, `device_code` for RFC 8628, and OAuth 1.0a."""

    AUTHORIZATION_CODE = "authorization_code"
    CLIENT_CREDENTIALS = "client_credentials"
    DEVICE_CODE = "device_code"
    JWT_BEARER = "jwt_bearer"
    TOKEN_EXCHANGE = "token_exchange"  # noqa: S105 - the name of a grant
    PASSWORD = "password"  # noqa: S105 - the name of a grant
    OAUTH1 = "oauth1"


DIRECT_GRANTS = frozenset({Grant.CLIENT_CREDENTIALS, Grant.JWT_BEARER, Grant.TOKEN_EXCHANGE, Grant.PASSWORD})
"""Grants that are asked for at the token endpoint directly: nobody has to agree in a browser."""
LEGACY_GRANTS = frozenset({Grant.PASSWORD})
"""Grants that are used only where a provider has nothing better (RFC 9700 section 2.4)."""


class BodyFormat(StrEnum):
    """How the parameters of a request are written."""

    FORM = "form"
    JSON = "json"
    QUERY = "query"


class Pkce(StrEnum):
    """`code_challenge_method` of RFC 7636 section 4.3; `off` sends no challenge."""

    S256 = "S256"
    PLAIN = "plain"
    OFF = "off"


class AuthMethod(StrEnum):
    """How a client authenticates: `token_endpoint_auth_method` of RFC 7591 section 2 and RFC 8705, and two of ours.

    `client_secret_basic_raw` leaves out the encoding of RFC 6749 section 2.3.1. With `fields` nothing is sent but what
    the request's own parameters and headers name as `{client_id}` and `{client_secret}`.
    """

    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - the name of a method
    CLIENT_SECRET_BASIC_RAW = "client_secret_basic_raw"  # noqa: S105 - the name of a method
    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105 - the name of a method
    CLIENT_SECRET_JWT = "client_secret_jwt"  # noqa: S105 - the name of a method
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS_CLIENT_AUTH = "tls_client_auth"
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"
    NONE = "none"
    FIELDS = "fields"


class ProofAlgorithm(StrEnum):
    """With which the proofs of DPoP are signed (RFC 7518 section 3.1, RFC 9864); keys of others take long to make."""

    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    ED25519 = "Ed25519"


class TokenTypeHint(StrEnum):
    """A kind of token (RFC 7009 section 2.1, `token_type_hint`)."""

    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a kind
    ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a kind


class TokenUse(StrEnum):
    """How an access token goes along: in RFC 6750 section 2.1's header, or as the name of a user (RFC 7617)."""

    BEARER = "bearer"
    BASIC = "basic"


class SignatureMethod(StrEnum):
    """With what requests of OAuth 1.0a are signed (RFC 5849 section 3.4); HMAC-SHA256 by the example of HMAC-SHA1."""

    HMAC_SHA1 = "HMAC-SHA1"
    HMAC_SHA256 = "HMAC-SHA256"
    PLAINTEXT = "PLAINTEXT"


class LifetimeUnit(StrEnum):
    """What a number that says when a token ends counts."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
