"""The structure of a provider profile. What a profile does not say is as the standards have it (RFC 6749, 7636)."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from msgspec import field

from keyrack.oauth.profiles.answer_parts import Answer, Callback, Lifetimes
from keyrack.oauth.profiles.call_parts import Call
from keyrack.oauth.profiles.kinds import LEGACY_GRANTS, Grant, Pkce, ProofAlgorithm
from keyrack.oauth.profiles.request_parts import (
    Assertion,
    AuthorizationRequest,
    ClientAuthentication,
    EndpointRequest,
    Endpoints,
    OAuth1,
    Part,
    RevocationRequest,
    Scopes,
    TokenExchange,
    TokenRequest,
)


class Input(Part, frozen=True):
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
        once: whether it is for connecting only, and forgotten once there are tokens.
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
    once: bool = False
    hidden: bool = False
    learned: bool = False
    per_client: bool = False
    order: int | None = None
    documentation: str | None = None


class DatedRule(Part, frozen=True):
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


class ProviderProfile(Part, frozen=True):
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
        after_connecting: calls that are made, one after another, once an account is connected.
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
    inputs: dict[str, Input] = field(default_factory=dict)
    endpoints: Endpoints = field(default_factory=Endpoints)
    authorization: AuthorizationRequest = field(default_factory=AuthorizationRequest)
    token: TokenRequest = field(default_factory=TokenRequest)
    refresh: TokenRequest | None = None
    exchange: TokenRequest | None = None
    revocation: RevocationRequest = field(default_factory=RevocationRequest)
    introspection: EndpointRequest = field(default_factory=EndpointRequest)
    client_authentication: ClientAuthentication = field(default_factory=ClientAuthentication)
    scopes: Scopes = field(default_factory=Scopes)
    pkce: Pkce = Pkce.S256
    dpop: ProofAlgorithm | None = None
    callback: Callback = field(default_factory=Callback)
    answer: Answer = field(default_factory=Answer)
    after_connecting: tuple[Call, ...] = ()
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
    def learned(self) -> tuple[str, ...]:
        """Names of all that callbacks, answers and tokens tell, and that is kept with a connection."""
        answer, calls = self.answer, (name for call in self.after_connecting for name in call.tells)
        told = (*self.callback.learned, *answer.learned, *answer.userinfo_learned, *answer.token_claims, *calls)
        return tuple(dict.fromkeys(told))

    @property
    def is_legacy(self) -> bool:
        """Whether its grant is used only where a provider has nothing better (RFC 9700 section 2.4)."""
        return self.grant in LEGACY_GRANTS
