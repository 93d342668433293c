"""What a provider profile says of requests: where they go, what is in them, how the client authenticates.

Texts that are sent are templates: `{name}` stands for an input or for what was learned of an answer, `{random}` for a
new random text. A list of templates means the first whose placeholders are all known.
"""

from msgspec import Struct

from keyrack.oauth.profiles.kinds import AuthMethod, BodyFormat, SignatureMethod, TokenTypeHint

Template = str | tuple[str, ...]
"""A text with placeholders, or alternatives in the order in which they are tried."""
Sent = str | int | bool | tuple[str, ...] | None
"""The value of a parameter: a template, or a value as it is; None leaves out what would be sent otherwise."""


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a profile: an unknown member is a fault, and what is as usual is not written."""


class Endpoints(Part, frozen=True):
    """Addresses at the provider; each may have a query of its own.

    Attributes:
        issuer: identifier of the authorization server (RFC 8414); what is not given here is discovered from it.
        authorization: RFC 6749 section 3.1; of OAuth 1.0a, where the user authorizes (RFC 5849 section 2.2).
        token: RFC 6749 section 3.2; of OAuth 1.0a, where token credentials are got (RFC 5849 section 2.3).
        refresh: where refresh requests go if not to `token`.
        exchange: where the first token is exchanged for one that lives longer if not at `token`.
        revocation: RFC 7009.
        introspection: RFC 7662; asked when a connection is tested, if there is no `userinfo`.
        device_authorization: RFC 8628.
        registration: RFC 7591.
        pushed_authorization: RFC 9126.
        userinfo: OpenID Connect Core section 5.3, or what tells whose token it is.
        temporary_credentials: RFC 5849 section 2.1.
    """

    issuer: Template | None = None
    authorization: Template | None = None
    token: Template | None = None
    refresh: Template | None = None
    exchange: Template | None = None
    revocation: Template | None = None
    introspection: Template | None = None
    device_authorization: Template | None = None
    registration: Template | None = None
    pushed_authorization: Template | None = None
    userinfo: Template | None = None
    temporary_credentials: Template | None = None


class ClientAuthentication(Part, frozen=True):
    """How the client authenticates.

    Attributes:
        method: see `AuthMethod`.
        algorithm: of a signed assertion (RFC 7518 section 3.1), such as `RS256`, `PS256` or `ES256`.
        key_id: `kid` of the key that signs.
        audience: `aud` of the assertion; None: the token endpoint.
        mutual_tls: whether the connection needs the client's certificate beside it (RFC 8705 section 3).
    """

    method: AuthMethod = AuthMethod.CLIENT_SECRET_POST
    algorithm: str | None = None
    key_id: str | None = None
    audience: Template | None = None
    mutual_tls: bool = False


class AuthorizationRequest(Part, frozen=True):
    """The address that the user's browser is sent to.

    Attributes:
        parameters: further ones, and others than usual; None leaves one out.
        rename: names that this provider has for the usual parameters, by the usual name.
        unencoded: parameters whose values are not percent-encoded; `*`: all of them.
        leaves_out_empty: whether parameters without a value are not sent.
        in_fragment: path of a page behind `#` that the query belongs to.
        pushed: whether the parameters are pushed first (RFC 9126).
        starts_at_provider: whether connecting can only begin at the provider, which calls with a code and without our
            state; no auth client can do that, see decision 38.
        sends_nonce: whether a nonce goes with it even where `openid` is not among the scopes.
    """

    parameters: dict[str, Sent] = {}
    rename: dict[str, str] = {}
    unencoded: tuple[str, ...] = ()
    leaves_out_empty: bool = False
    in_fragment: str | None = None
    pushed: bool = False
    starts_at_provider: bool = False
    sends_nonce: bool = False


class EndpointRequest(Part, frozen=True):
    """A request of Keyrack's own at an endpoint.

    Attributes:
        method: of HTTP.
        body: how its parameters are written.
        parameters: further ones, and others than usual; None leaves one out.
        rename: names that this provider has for the usual parameters, by the usual name.
        headers: further ones.
        client_authentication: if it is another one than the profile's.
    """

    method: str = "POST"
    body: BodyFormat = BodyFormat.FORM
    parameters: dict[str, Sent] = {}
    rename: dict[str, str] = {}
    headers: dict[str, Template] = {}
    client_authentication: ClientAuthentication | None = None


class TokenRequest(EndpointRequest, frozen=True):
    """A request that is answered with tokens.

    Attributes:
        sends_scope: whether a refresh request repeats the scope.
        sends_redirect_uri: whether a refresh request repeats the redirect URI.
    """

    sends_scope: bool = False
    sends_redirect_uri: bool = False


class RevocationRequest(EndpointRequest, frozen=True):
    """The request that revokes a token (RFC 7009 section 2.1), which stands for `{token}`.

    Attributes:
        tokens: kinds of token that can be revoked; none: both.
    """

    tokens: tuple[TokenTypeHint, ...] = ()


class Scopes(Part, frozen=True):
    """How scopes are written.

    Attributes:
        separator: between them (RFC 6749 section 3.3 has a space).
        default: asked for where nobody names any.
        user_parameter: name of a second parameter, with the scopes of the user, as Slack has it.
        user_default: asked for in that parameter.
    """

    separator: str = " "
    default: tuple[str, ...] = ()
    user_parameter: str | None = None
    user_default: tuple[str, ...] = ()


class OAuth1(Part, frozen=True):
    """What OAuth 1.0a leaves open.

    Attributes:
        signature_method: RFC 5849 section 3.4.
        request_parameters: further ones of the request for temporary credentials.
    """

    signature_method: SignatureMethod = SignatureMethod.HMAC_SHA1
    request_parameters: dict[str, Sent] = {}


class Assertion(Part, frozen=True):
    """The JWT that stands for an authorization (RFC 7523 sections 2.1 and 3), with the grant `jwt_bearer`.

    Attributes:
        algorithm: with which it is signed (RFC 7518 section 3.1), such as `RS256`, `PS256` or `ES256`.
        key: the private key, of an input that each connection fills in; None: the client's `private_key`.
        key_id: `kid` of the key; None: the client's `key_id`, else the key's own.
        issuer: `iss`; None: the client id.
        subject: `sub`; None: as `issuer`.
        audience: `aud`; None: the token endpoint.
        claims: further ones; None leaves one out.
        sends_scope: whether the scope is a claim of it, and no parameter of the request.
        lifetime: seconds from `iat` to `exp`.
    """

    algorithm: str = "RS256"
    key: Template | None = None
    key_id: Template | None = None
    issuer: Template | None = None
    subject: Template | None = None
    audience: Template | None = None
    claims: dict[str, Sent] = {}
    sends_scope: bool = False
    lifetime: int = 300


class TokenExchange(Part, frozen=True):
    """What is exchanged for what (RFC 8693 section 2.1), with the grant `token_exchange`.

    Attributes:
        subject_token: whose access is wanted.
        subject_token_type: what it is (section 3).
        actor_token: who acts for them.
        actor_token_type: what that is; sent with an actor token only.
        requested_token_type: what is wanted.
        audience: names of the services that the new token is for.
        resource: addresses of these services (RFC 8707 section 2).
    """

    subject_token: Template
    subject_token_type: str = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
    actor_token: Template | None = None
    actor_token_type: str = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
    requested_token_type: str | None = None
    audience: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
