"""From a first-generation descriptor to what a consent needs (contract sections 19.4 and 20.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from keyrack.crypto.secret import Secret
from keyrack.descriptor import http_auth
from keyrack.descriptor.context import build_context, field_variables
from keyrack.descriptor.fields import CleanFields
from keyrack.descriptor.link import ClientKeys
from keyrack.descriptor.model import Descriptor, OAuth2Block
from keyrack.descriptor.pointer import join
from keyrack.descriptor.rendering import Rendering
from keyrack.descriptor.template import placeholders
from keyrack.descriptor.uri import render_uri
from keyrack.errors import Problem, ValidationFailed


@dataclass(frozen=True, slots=True)
class ResolvedOAuth2:
    """An `oauth2` block with all templates filled in. What users' values went into is left out of the repr.

    Attributes:
        authorization_endpoint: absolute URL, its own query kept.
        token_endpoint: absolute URL, its own query kept.
        client_id: the client identifier.
        client_secret: never empty.
        scope: one text; empty for none.
        token_endpoint_auth_method: `client_secret_basic` or `client_secret_post` (RFC 7591 names).
        pkce: whether to send a code challenge.
        issuer: what `iss` in the callback must be, if it comes (RFC 9207); None when not known.
        extra: further parameters of the authorization request.
        token_path: where in a credential's `keys` the token response goes: the field's name, and the way inside it.
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


def resolve(
    descriptor: Descriptor,
    *,
    env: Mapping[str, str],
    values: CleanFields,
    client: ClientKeys | None,
    pointer_prefix: str,
) -> ResolvedOAuth2:
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
    if descriptor.oauth2 is None:
        raise ValidationFailed(Problem("the component's descriptor has no oauth2 block"))
    context = build_context(descriptor, env=env, values=values, client=client)
    if not descriptor.use_oauth_client:
        client = None
    rendering = Rendering(descriptor, context, pointer_prefix)
    block = descriptor.oauth2
    auth_uri = rendering.uri("auth_uri", block.auth_uri, in_browser=True)
    token_uri = rendering.uri("token_uri", block.token_uri)
    client_id = client.client_id if client else rendering.needed("client_id", block.client_id)
    secret = client.client_secret if client else Secret(rendering.needed("client_secret", block.client_secret))
    scope, extra = rendering.scope(block), rendering.extras(block)
    issuer = rendering.needed("issuer", block.issuer) if block.issuer else None
    rendering.finish()
    return ResolvedOAuth2(
        authorization_endpoint=auth_uri,
        token_endpoint=token_uri,
        client_id=client_id,
        client_secret=secret,
        scope=scope,
        token_endpoint_auth_method=_auth_method(block),
        pkce=block.pkce,
        extra=extra,
        token_path=(name,),
        issuer=issuer,
    )


def needed_variables(descriptor: Descriptor) -> frozenset[str]:
    """Return every variable that a template of the descriptor's `oauth2` block names.

    A required environment variable that is unset matters to a consent only if it is one of these (contract section
    0.8).
    """
    block = descriptor.oauth2 or OAuth2Block()
    scopes = (block.scopes,) if isinstance(block.scopes, str) else block.scopes or ()
    extras = (value for value in block.extra.values() if isinstance(value, str))
    keys = (block.client_id, block.client_secret)
    texts = (*keys, block.auth_uri, block.token_uri, block.issuer, *scopes, *extras)
    return frozenset(name for text in texts if text for name in placeholders(text))


def _from_http_auth(descriptor: Descriptor, name: str, values: CleanFields, prefix: str) -> ResolvedOAuth2:
    value = values.get(name)
    pointer = join(prefix, name)
    if not isinstance(value, Mapping) or value.get("type") != http_auth.OAUTH2:
        raise ValidationFailed(Problem(f"must be {http_auth.OAUTH2} to connect", join(pointer, "type")))
    oauth2 = http_auth.oauth2_of(value)
    block = descriptor.oauth2 or OAuth2Block()
    rendering = Rendering(descriptor, field_variables(descriptor, values), prefix)
    own = {member: _own(rendering, oauth2, member, pointer) for member in http_auth.TEMPLATE_MEMBERS}
    scope = http_auth.scope_of(oauth2) or rendering.scope(block)
    extra = rendering.extras(block) | http_auth.extra_of(oauth2)
    rendering.finish()
    return ResolvedOAuth2(
        authorization_endpoint=own["authUri"],
        token_endpoint=own["tokenUri"],
        client_id=own["clientId"],
        client_secret=Secret(own["clientSecret"]),
        scope=scope,
        token_endpoint_auth_method=_auth_method(block),
        pkce=block.pkce,
        extra=extra,
        token_path=(name, *http_auth.TOKEN_PATH),
    )


def _own(rendering: Rendering, oauth2: Mapping[str, str], member: str, pointer: str) -> str:
    """Return a member of the user's own client; the URIs are checked like one that starts with a variable."""
    at = join(pointer, "oauth2", member)
    text = oauth2.get(member) or ""
    if not text:
        rendering.note(Problem("is required to connect", at))
        return ""
    if not member.endswith("Uri"):
        return text
    return rendering.attempt(partial(render_uri, f"{{{{{member}}}}}", {member: text}, lambda _: at))


def _auth_method(block: OAuth2Block) -> str:
    return "client_secret_basic" if block.client_auth == "basic" else "client_secret_post"
