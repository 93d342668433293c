"""The structure of a provider profile. What a profile does not say is as the standards have it (RFC 6749, 7636).

Texts that are sent are templates: `{name}` stands for an input or for what was learned of an answer, `{random}` for a
new random text. A list of templates means the first whose placeholders are all known.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

Template = str | tuple[str, ...]
"""A text with placeholders, or alternatives in the order in which they are tried."""
Sent = str | int | bool | tuple[str, ...] | None
"""The value of a parameter: a template, or a value as it is; None leaves out what would be sent otherwise."""


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


class LifetimeUnit(StrEnum):
    """What a number that says when a token ends counts."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a profile: an unknown member is a fault, and what is as usual is not written."""


class Input(_Part, frozen=True):
    """What somebody fills in before connecting, such as the subdomain of their account.

    Attributes:
        type: of the value.
        title: label of the field.
        description: what it is, and where one finds it.
        pattern: regular expression that the whole value matches.
        enum: the only values there are.
        default: what counts where nothing is filled in.
        example: a value that could be one.
        format: what kind of text it is, such as `hostname`, `uri` or `uuid`.
        prefix: what is written in front of the field and is no part of it.
        suffix: what is written behind it.
        required: whether it must be filled in.
        secret: whether it is kept from view, and stored encrypted.
        hidden: whether it is not asked for, since it has a default or is learned.
        learned: whether it comes from the provider's answers and not from a person.
        per_client: whether it belongs to the client, and not to each connection.
        order: place among the fields.
        documentation: address, or the part of a page, that says more.
    """

    type: str = "string"
    title: str = ""
    description: str = ""
    pattern: str | None = None
    enum: tuple[str, ...] | None = None
    default: str | None = None
    example: str | None = None
    format: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    required: bool = True
    secret: bool = False
    hidden: bool = False
    learned: bool = False
    per_client: bool = False
    order: int | None = None
    documentation: str | None = None


class Endpoints(_Part, frozen=True):
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


class ClientAuthentication(_Part, frozen=True):
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


class AuthorizationRequest(_Part, frozen=True):
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


class EndpointRequest(_Part, frozen=True):
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


class Callback(_Part, frozen=True):
    """What the provider adds to the redirect URI.

    Attributes:
        code: name of the parameter with the code (RFC 6749 section 4.1.2).
        state: name of the parameter with the state.
        learned: parameters that are kept with the connection, among its `undefined_params`, and can be placeholders.
    """

    code: str = "code"
    state: str = "state"
    learned: tuple[str, ...] = ()


class Answer(_Part, frozen=True):
    """Where things are in the answer of the token endpoint. Paths are names of members with dots between.

    Attributes:
        objects: paths of objects that may hold the tokens, tried in this order; the answer itself comes last.
        access_token: paths, tried in this order; as those that follow.
        refresh_token: see `access_token`.
        expires_in: see `access_token`.
        lifetime_unit: what `expires_in` counts.
        scope: see `access_token`.
        account: what names the account to a person.
        account_id: what names it to the provider.
        error: the code of an error.
        error_description: its text.
        fails_where: paths and the values that say that an answer with status 200 is an error.
        final_errors: codes after which only a new consent helps.
        learned: paths of what is kept with the connection, and can be a placeholder.
        userinfo_learned: the same of the answer of `userinfo`, by the name that it is kept under.
    """

    objects: tuple[str, ...] = ()
    access_token: tuple[str, ...] = ("access_token",)
    refresh_token: tuple[str, ...] = ("refresh_token",)
    expires_in: tuple[str, ...] = ("expires_in",)
    lifetime_unit: LifetimeUnit = LifetimeUnit.SECONDS
    scope: tuple[str, ...] = ("scope",)
    account: tuple[str, ...] = ()
    account_id: tuple[str, ...] = ()
    error: tuple[str, ...] = ("error",)
    error_description: tuple[str, ...] = ("error_description",)
    fails_where: dict[str, Any] = {}
    final_errors: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    userinfo_learned: dict[str, str] = {}


class Scopes(_Part, frozen=True):
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


class Lifetimes(_Part, frozen=True):
    """How long tokens live where the answers do not say; seconds.

    Attributes:
        access_token: 0: it does not end.
        refresh_token: after which a new consent is needed if nothing was refreshed.
        refresh_token_absolute: after which it is needed in any case.
        rotates: whether each refresh brings a new refresh token.
        rotation_grace: for how long the one before still works.
        refresh_before: how long before its end a token should be renewed.
    """

    access_token: int | None = None
    refresh_token: int | None = None
    refresh_token_absolute: int | None = None
    rotates: bool | None = None
    rotation_grace: int | None = None
    refresh_before: int | None = None


class OAuth1(_Part, frozen=True):
    """What OAuth 1.0a leaves open.

    Attributes:
        signature_method: RFC 5849 section 3.4.
        request_parameters: further ones of the request for temporary credentials.
    """

    signature_method: str = "HMAC-SHA1"
    request_parameters: dict[str, Sent] = {}


class Assertion(_Part, frozen=True):
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


class TokenExchange(_Part, frozen=True):
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


class DatedRule(_Part, frozen=True):
    """What changed, or changes, on a day, and whom it concerns.

    Attributes:
        since: the day.
        says: what is so since then.
        scopes: connections that asked for one of these; none: all.
        documentation: address of the page on which the provider says so.
    """

    since: date
    says: str
    scopes: tuple[str, ...] = ()
    documentation: str | None = None


class ProviderProfile(_Part, frozen=True):
    """How one provider wants to be talked to.

    Attributes:
        name: by which it is found: lower case letters, digits, `-` and `_`.
        title: as the provider writes itself.
        grant: how tokens are got.
        documentation: address of the provider's own pages on this.
        written: on which day it was written, by these pages.
        inputs: what is filled in before connecting, by the name of the placeholder.
        endpoints: addresses.
        authorization: the address that a browser is sent to.
        token: the request for the first tokens.
        refresh: the request for new tokens; None: as `token`.
        exchange: the request that exchanges the first token, `{access_token}` in it, for one that lives longer; None:
            the first token stays.
        revocation: the request that revokes a token (RFC 7009).
        introspection: the request that asks whether a token works (RFC 7662).
        client_authentication: how the client authenticates.
        scopes: how they are written.
        pkce: see `Pkce`.
        dpop: with which algorithm each connection's own key signs, where tokens are bound to it (RFC 9449); None: they
            are Bearer tokens.
        callback: what comes back with the browser.
        answer: what comes back with the tokens.
        lifetimes: where the answers do not say.
        oauth1: only with the grant `oauth1`.
        assertion: only with the grant `jwt_bearer`.
        token_exchange: only with the grant `token_exchange`, which needs it.
        keeps_password: with the grant `password`, whether the password is kept where a refresh token came with the
            first token, and used again when that is refused. RFC 6749 section 4.3 has it forgotten.
        registration: what to register where, a step each.
        traps: what has cost others a day.
        rules: what changed when.
        kept: what another catalogue says beside OAuth, such as addresses of the API; nothing here acts on it.
    """

    name: str
    title: str = ""
    grant: Grant = Grant.AUTHORIZATION_CODE
    documentation: str | None = None
    written: date | None = None
    inputs: dict[str, Input] = {}
    endpoints: Endpoints = field(default_factory=Endpoints)
    authorization: AuthorizationRequest = field(default_factory=AuthorizationRequest)
    token: TokenRequest = field(default_factory=TokenRequest)
    refresh: TokenRequest | None = None
    exchange: TokenRequest | None = None
    revocation: EndpointRequest = field(default_factory=EndpointRequest)
    introspection: EndpointRequest = field(default_factory=EndpointRequest)
    client_authentication: ClientAuthentication = field(default_factory=ClientAuthentication)
    scopes: Scopes = field(default_factory=Scopes)
    pkce: Pkce = Pkce.S256
    dpop: ProofAlgorithm | None = None
    callback: Callback = field(default_factory=Callback)
    answer: Answer = field(default_factory=Answer)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    oauth1: OAuth1 | None = None
    assertion: Assertion = field(default_factory=Assertion)
    token_exchange: TokenExchange | None = None
    keeps_password: bool = False
    registration: tuple[str, ...] = ()
    traps: tuple[str, ...] = ()
    rules: tuple[DatedRule, ...] = ()
    kept: Mapping[str, Any] = {}

    @property
    def is_legacy(self) -> bool:
        """Whether its grant is used only where a provider has nothing better (RFC 9700 section 2.4)."""
        return self.grant in LEGACY_GRANTS
