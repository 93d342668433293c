"""Turns a first-generation descriptor into what a consent needs (contract sections 19.4 and 20.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial

from keyrack.crypto.secret import Secret
from keyrack.descriptor import http_auth
from keyrack.descriptor.context import build_context, field_variables
from keyrack.descriptor.fields import CleanFields
from keyrack.descriptor.link import ClientKeys
from keyrack.descriptor.model import Descriptor, OAuth1Block, OAuth2Block
from keyrack.descriptor.oauth_blocks import SIGNATURE_METHODS
from keyrack.descriptor.rendering import Rendering
from keyrack.descriptor.template import placeholders
from keyrack.descriptor.uri import render_uri
from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.pointer import join

_PUBLIC = "none"
_METHODS = {
    "post": "client_secret_post",
    "basic": "client_secret_basic",
    "basic_raw": "client_secret_basic_raw",
    "none": _PUBLIC,
}


@dataclass(frozen=True, slots=True)
class ResolvedOAuth:
    """An `oauth2` or `oauth1` block with all templates filled in. What users' values went into is left out of the repr.

    Attributes:
        authorization_endpoint: absolute URL, its own query kept.
        token_endpoint: absolute URL, its own query kept.
        client_id: the client identifier.
        client_secret: empty only for a public client.
        scope: one text; empty for none.
        token_endpoint_auth_method: `client_secret_post`, `client_secret_basic` or `none` (RFC 7591 names), or our
            `client_secret_basic_raw`.
        pkce: whether to send a code challenge.
        issuer: what `iss` in the callback must be, if it comes (RFC 9207); None when not known.
        sends_iss: whether it always comes; None: the issuer's metadata tells.
        extra: further parameters of the authorization request.
        token_path: where in a credential's `keys` the token response goes: the field's name, and the way inside it.
        temporary_credentials_endpoint: `request_token_uri` of an `oauth1` block, whose consumer key and secret are the
            client's id and secret (contract section 21); None for OAuth 2.0.
        signature_method: of OAuth 1.0a (RFC 5849 section 3.4).
        userinfo_uri: where the provider tells whose an access token is; None when not known (decision 33).
    """

    authorization_endpoint: str = field(repr=False)
    token_endpoint: str = field(repr=False)
    client_id: str
    client_secret: Secret
    scope: str = field(repr=False)
    token_endpoint_auth_method: str
    pkce: bool
    extra: Mapping[str, str] = field(repr=False)
    token_path: tuple[str, ...]
    issuer: str | None = None
    sends_iss: bool | None = None
    temporary_credentials_endpoint: str | None = field(default=None, repr=False)
    userinfo_uri: str | None = field(default=None, repr=False)
    account_label_path: str | None = None
    account_subject_path: str | None = None
    signature_method: str = SIGNATURE_METHODS[0]

    @property
    def endpoints(self) -> Mapping[str, str]:
        """All of them, by the member of the descriptor or of the field that names each."""
        also = self.temporary_credentials_endpoint
        if also is not None:
            return {
                "request_token_uri": also,
                "auth_uri": self.authorization_endpoint,
                "access_token_uri": self.token_endpoint,
            }
        own = len(self.token_path) > 1
        names = ("authUri", "tokenUri") if own else ("auth_uri", "token_uri")
        return dict(zip(names, (self.authorization_endpoint, self.token_endpoint), strict=True))


def resolve(
    descriptor: Descriptor,
    *,
    env: Mapping[str, str],
    values: CleanFields,
    client: ClientKeys | None,
    pointer_prefix: str,
) -> ResolvedOAuth:
    """Fill in a descriptor's templates.

    With `useOAuthClient` and a client, id and secret are the client's whatever the descriptor has in their place.
    An `HTTPAuthView` brings its own client and endpoints; nothing of ours is mixed with them, so that no secret of a
    tenant or of the component's owner can be sent to an address of the user's choice.

    Args:
        descriptor: the component's.
        env: the component's environment variables, as far as this tenant may use them.
        values: from `clean_fields`.
        client: the OAuth client of the workspace's tenant, if there is one.
        pointer_prefix: where the values stand in the request.

    Raises:
        ValidationFailed: with all problems. Variables are named, values are not shown.
    """
    name = descriptor.oauth_field
    if name is None:
        raise ValidationFailed(Problem("the component has no field that takes an OAuth token"))
    if descriptor.uses_http_auth:
        return _from_http_auth(descriptor, name, values, pointer_prefix)
    context = build_context(descriptor, env=env, values=values, client=client)
    if not descriptor.use_oauth_client:
        client = None
    rendering = Rendering(descriptor, context, pointer_prefix)
    if descriptor.oauth2 is not None:
        return _from_oauth2(descriptor.oauth2, name, rendering, client)
    if descriptor.oauth1 is not None:
        return _from_oauth1(descriptor.oauth1, name, rendering, client)
    raise ValidationFailed(Problem("the component's descriptor has neither an oauth2 nor an oauth1 block"))


def needed_variables(descriptor: Descriptor) -> frozenset[str]:
    """Return every variable that a template of the block in use names: `oauth2`, else `oauth1`.

    A required environment variable that is unset matters to a consent only if it is one of these (contract section
    0.8).
    """
    if descriptor.oauth2 is None and descriptor.oauth1 is not None:
        return _named(getattr(descriptor.oauth1, item.name) for item in fields(OAuth1Block))
    block = descriptor.oauth2 or OAuth2Block()
    scopes = (block.scopes,) if isinstance(block.scopes, str) else block.scopes or ()
    extras = (value for value in block.extra.values() if isinstance(value, str))
    keys = (block.client_id, block.client_secret)
    return _named((*keys, block.auth_uri, block.token_uri, block.issuer, block.userinfo_uri, *scopes, *extras))


def _named(texts: Iterable[str | None]) -> frozenset[str]:
    return frozenset(name for text in texts if text for name in placeholders(text))


def _from_oauth2(block: OAuth2Block, name: str, rendering: Rendering, client: ClientKeys | None) -> ResolvedOAuth:
    auth_uri = rendering.uri("auth_uri", block.auth_uri, in_browser=True)
    token_uri = rendering.uri("token_uri", block.token_uri)
    client_id = client.client_id if client else rendering.needed("client_id", block.client_id)
    method = _METHODS.get((client.client_auth if client else None) or block.client_auth or "", "client_secret_post")
    if client is not None:
        secret = client.client_secret
    elif method == _PUBLIC and not block.client_secret:
        secret = Secret("")
    else:
        secret = Secret(rendering.needed("client_secret", block.client_secret))
    scope, extra = rendering.scope(block), rendering.extras(block)
    issuer = rendering.needed("issuer", block.issuer) if block.issuer else None
    userinfo_uri = rendering.uri("userinfo_uri", block.userinfo_uri) if block.userinfo_uri else None
    rendering.finish()
    return ResolvedOAuth(
        authorization_endpoint=auth_uri,
        token_endpoint=token_uri,
        client_id=client_id,
        client_secret=secret,
        scope=scope,
        token_endpoint_auth_method=method,
        pkce=block.pkce,
        extra=extra,
        token_path=(name,),
        issuer=issuer,
        sends_iss=block.sends_iss,
        userinfo_uri=userinfo_uri,
        account_label_path=block.account_label_path,
        account_subject_path=block.account_subject_path,
    )


def _from_oauth1(block: OAuth1Block, name: str, rendering: Rendering, client: ClientKeys | None) -> ResolvedOAuth:
    request_token_uri = rendering.uri("request_token_uri", block.request_token_uri)
    auth_uri = rendering.uri("auth_uri", block.auth_uri, in_browser=True)
    access_token_uri = rendering.uri("access_token_uri", block.access_token_uri)
    key = client.client_id if client else rendering.needed("consumer_key", block.consumer_key)
    secret = client.client_secret if client else Secret(rendering.needed("consumer_secret", block.consumer_secret))
    if client is not None and not secret.reveal():
        rendering.note(Problem("the OAuth client has no client_secret, with which OAuth 1.0a signs"))
    rendering.finish()
    return ResolvedOAuth(
        authorization_endpoint=auth_uri,
        token_endpoint=access_token_uri,
        client_id=key,
        client_secret=secret,
        scope="",
        token_endpoint_auth_method="client_secret_post",  # noqa: S106 - a method; OAuth 1.0a signs instead
        pkce=False,
        extra={},
        token_path=(name,),
        temporary_credentials_endpoint=request_token_uri,
        signature_method=block.signature_method or SIGNATURE_METHODS[0],
    )


def _from_http_auth(descriptor: Descriptor, name: str, values: CleanFields, prefix: str) -> ResolvedOAuth:
    value = values.get(name)
    pointer = join(prefix, name)
    if not isinstance(value, Mapping) or value.get("type") != http_auth.OAUTH2:
        raise ValidationFailed(Problem(f"must be {http_auth.OAUTH2} to connect", join(pointer, "type")))
    oauth2 = http_auth.oauth2_of(value)
    block = descriptor.oauth2 or OAuth2Block()
    rendering = Rendering(descriptor, field_variables(descriptor, values), prefix)
    method = _METHODS.get(block.client_auth or "", "client_secret_post")
    own = {
        member: _own(rendering, oauth2, member, pointer, optional=method == _PUBLIC and member == "clientSecret")
        for member in http_auth.TEMPLATE_MEMBERS
    }
    scope = http_auth.requested_scope(oauth2) or rendering.scope(block)
    extra = rendering.extras(block) | http_auth.extra_of(oauth2)
    rendering.finish()
    return ResolvedOAuth(
        authorization_endpoint=own["authUri"],
        token_endpoint=own["tokenUri"],
        client_id=own["clientId"],
        client_secret=Secret(own["clientSecret"]),
        scope=scope,
        token_endpoint_auth_method=method,
        pkce=block.pkce,
        extra=extra,
        token_path=(name, *http_auth.TOKEN_PATH),
    )


def _own(rendering: Rendering, oauth2: Mapping[str, str], member: str, pointer: str, *, optional: bool) -> str:
    """Return a member of the user's own client; the URIs are checked like one that starts with a variable."""
    at = join(pointer, "oauth2", member)
    text = oauth2.get(member) or ""
    if not text and optional:
        return ""
    if not text:
        rendering.note(Problem("is required to connect", at))
        return ""
    if not member.endswith("Uri"):
        return text
    return rendering.attempt(partial(render_uri, f"{{{{{member}}}}}", {member: text}, lambda _: at))
