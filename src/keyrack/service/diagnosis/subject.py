"""What a diagnosis is about: a client as a consent would use it, with where each part of it is changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.descriptor.model import OAuth2Block
from keyrack.descriptor.template import placeholders
from keyrack.descriptor.text import scalar_text
from keyrack.errors import KeyrackError, OAuthClientMissing, ValidationFailed
from keyrack.model.clients import AuthClient, OAuthClient
from keyrack.model.components import Component
from keyrack.oauth.client_auth import METHOD_OF
from keyrack.oauth.diagnosis.findings import AT_PROVIDER, Finding, Level, Place, Places, Where
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.dated_rules import begins
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS
from keyrack.oauth.scopes import split_scope
from keyrack.service.authz.access import Scope
from keyrack.service.clients.auth_client_credentials import redirect_uri_of
from keyrack.service.clients.auth_client_profile import (
    INPUTS,
    client_profile,
    declared_method,
    is_global,
    new_key_for,
    provider_of,
)
from keyrack.service.clients.provider_rules import COUNTED_TO, concerned_connections
from keyrack.service.consents.block_profile import with_block_profile
from keyrack.service.consents.plan import FIELDS_POINTER, ConsentPlanner, descriptor_of, profile_of, readable_descriptor
from keyrack.service.consents.secret_handler import with_account_source, with_issuer
from keyrack.service.tenancy.redirect_uris import OAUTH1, OAUTH2, redirect_uri
from keyrack.store.components import ComponentRows

_MOST_COMPONENTS = 10
"""Of how many linked components is read what they ask for."""
_CREDENTIALS = "/data/attributes/credentials"
_BLOCK = "/credentials/oauth2"

AUTH_CLIENT_PLACES: Places = {
    "authorization_endpoint": Place(Where.client, f"{_CREDENTIALS}/auth_uri"),
    "token_endpoint": Place(Where.client, f"{_CREDENTIALS}/token_uri"),
    "refresh_endpoint": Place(Where.client, f"{_CREDENTIALS}/refresh_token_uri"),
    "revocation_endpoint": Place(Where.client, f"{_CREDENTIALS}/revocation_uri"),
    "issuer": Place(Where.client, f"{_CREDENTIALS}/issuer"),
    "client_id": Place(Where.client, f"{_CREDENTIALS}/client_id"),
    "client_secret": Place(Where.client, f"{_CREDENTIALS}/client_secret"),
    "private_key": Place(Where.client, f"{_CREDENTIALS}/private_key"),
    "client_auth": Place(Where.client, f"{_CREDENTIALS}/client_auth"),
    "pkce": Place(Where.client, f"{_CREDENTIALS}/pkce"),
    "scopes": Place(Where.component, f"{_BLOCK}/scopes"),
    "parameters": Place(Where.component, _BLOCK),
}
"""Where the parts of an auth client are changed."""

OAUTH_CLIENT_PLACES: Places = {
    "authorization_endpoint": Place(Where.component, f"{_BLOCK}/auth_uri"),
    "token_endpoint": Place(Where.component, f"{_BLOCK}/token_uri"),
    "refresh_endpoint": Place(Where.component, f"{_BLOCK}/token_uri"),
    "revocation_endpoint": Place(Where.component, _BLOCK),
    "issuer": Place(Where.component, f"{_BLOCK}/issuer"),
    "client_id": Place(Where.client, "/data/attributes/client_id"),
    "client_secret": Place(Where.client, "/data/attributes/client_secret"),
    "private_key": AT_PROVIDER,
    "client_auth": Place(Where.client, "/data/attributes/client_auth"),
    "pkce": Place(Where.component, f"{_BLOCK}/pkce"),
    "scopes": Place(Where.component, f"{_BLOCK}/scopes"),
    "parameters": Place(Where.component, _BLOCK),
}
"""Where the parts of a tenant's OAuth client are changed: it has id and secret, its component the rest."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A client to be diagnosed.

    Attributes:
        kind: its type as a resource: `auth-client` or `oauth-client`.
        id: its id.
        name: what people know it by.
        tenant_id: for whom the provider is called; empty for the installation.
        profile: client and provider; an endpoint that cannot be known is empty.
        places: where its parts are changed.
        scopes: what is asked for, as far as that is known.
        extra: further parameters of authorization requests.
        redirect_uri: where browsers come back to; None: each tenant has its own.
        secret_ends_at: when its secret ends, if somebody has said.
        secrets: what else must not be shown: values that were filled in for the client.
        findings: what was found while reading it.
    """

    kind: str
    id: str
    name: str
    tenant_id: str
    profile: ClientProfile
    places: Places = field(repr=False)
    scopes: Sequence[str] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    redirect_uri: str | None = None
    secret_ends_at: datetime | None = None
    secrets: Sequence[Secret] = ()
    findings: Sequence[Finding] = ()


async def auth_client_subject(
    scope: Scope, client: AuthClient, public_url: str | None, *, allow_insecure: bool
) -> Subject:
    """Return an auth client of an oauth2 type as its consents use it, with what linked components ask for.

    Args:
        scope: of the client's place; only its unit is used.
        client: the client.
        public_url: the setting of this name.
        allow_insecure: accept http URLs and private addresses.
    """
    found = [] if is_global(client) else await _blocks(scope, client.component_ids)
    blocks = [each for _, each in found]
    owner, block = found[0] if found else ("", OAuth2Block())
    methods = (declared_method(client, each) for each in blocks)
    profile = client_profile(client, next((method for method in methods if method is not None), None))
    findings: list[Finding] = []
    try:
        profile = with_issuer(profile, block, allow_insecure=allow_insecure)
    except ValidationFailed as wrong:
        findings.append(Finding("issuer", Level.error, str(wrong), "Correct the issuer of the component.",
                                Place(Where.component, f"{_BLOCK}/issuer")))  # fmt: skip
    profile = with_account_source(profile, client, block, owner)
    profile = replace(profile, pkce=profile.pkce and block.pkce, proof_key=new_key_for(client))
    scopes = dict.fromkeys(scope for each in blocks for scope in split_scope(_scope_text(each)))
    findings += [*_unknown_addresses(profile), *await _concerned(scope, client)]
    return Subject(
        kind="auth-client",
        id=client.id,
        name=client.name,
        tenant_id=client.tenant_id,
        profile=profile,
        places=AUTH_CLIENT_PLACES,
        scopes=tuple(scopes) or (() if profile.provider is None else profile.provider.scopes.default),
        extra={name: scalar_text(value) or "" for name, value in block.extra.items()},
        redirect_uri=redirect_uri_of(client) or await _redirect_uri(scope, public_url, OAUTH2),
        secret_ends_at=client.expiry.at,
        secrets=tuple(Secret(value) for value in _secret_inputs(client)),
        findings=findings,
    )


async def oauth_client_subject(
    scope: Scope, client: OAuthClient, public_url: str | None, *, allow_insecure: bool
) -> Subject:
    """Return a tenant's OAuth client as consents of its component use it; arguments as of `auth_client_subject`."""
    component = await ComponentRows(scope.unit).find(client.component_id)
    profile, scope_text, extra, findings = _without_component(client), "", {}, []
    if component is None or component.latest is None:
        seen = "The component is gone, not visible, or has no build: nothing uses this client."
        findings.append(Finding("component", Level.error, seen, "Delete the client, or point it to another component.",
                                Place(Where.client, "/data/relationships/component")))  # fmt: skip
    else:
        try:
            planner = ConsentPlanner(allow_insecure=allow_insecure)
            resolved, _, used = await planner.plan(scope, component, {})
            profile = with_block_profile(profile_of(resolved), descriptor_of(component), {}, used)
            scope_text, extra = resolved.scope, dict(resolved.extra)
            if used is None:
                seen = "The component does not take the tenant's OAuth client."
                change = "Let its component.json say useOAuthClient, or delete the client."
                findings.append(
                    Finding("component", Level.error, seen, change, Place(Where.component, "/useOAuthClient"))
                )
        except (ValidationFailed, OAuthClientMissing) as wrong:
            profile = _as_far_as_fixed(client, component, allow_insecure=allow_insecure)
            findings += _not_planned(wrong)
    protocol = OAUTH2 if profile.temporary_credentials_endpoint is None else OAUTH1
    return Subject(
        kind="oauth-client",
        id=client.id,
        name=client.component_id if component is None else f"{component.team_name}/{component.name}",
        tenant_id=client.tenant_id,
        profile=profile,
        places=OAUTH_CLIENT_PLACES,
        scopes=split_scope(scope_text),
        extra=extra,
        redirect_uri=await _redirect_uri(scope, public_url, protocol),
        secret_ends_at=client.expiry.at,
        findings=findings,
    )


async def _blocks(scope: Scope, component_ids: Sequence[str]) -> list[tuple[str, OAuth2Block]]:
    """Return the `oauth2` blocks of components, each behind the id of the tenant that its component is of."""
    found = await ComponentRows(scope.unit).list(component_ids[:_MOST_COMPONENTS])
    read = [(component.tenant_id, readable_descriptor(component)) for component in found]
    return [(owner, each.oauth2) for owner, each in read if each is not None and each.oauth2 is not None]


async def _redirect_uri(scope: Scope, public_url: str | None, protocol: str) -> str | None:
    if public_url is None and not scope.unit.tenant_id:
        return None
    return await redirect_uri(scope.unit, public_url, protocol)


def _scope_text(block: OAuth2Block) -> str:
    text = block.scopes if isinstance(block.scopes, str) else " ".join(block.scopes or ())
    return "" if any(placeholders(text)) else text


def _secret_inputs(client: AuthClient) -> Iterator[str]:
    provider, given = provider_of(client), client.credentials.get(INPUTS) or {}
    for name, said in ({} if provider is None else provider.inputs).items():
        if said.secret and isinstance(given.get(name), str) and given[name]:
            yield given[name]


async def _concerned(scope: Scope, client: AuthClient) -> list[Finding]:
    """Return the dated rules of the provider that concern connections; of a global client they are in any tenant."""
    found, now = [], scope.unit.clock()
    for each in await concerned_connections(scope.unit, client):
        number = f"{each.connections:,}" + (" or more" if each.connections >= COUNTED_TO else "")
        tense = "since" if begins(each.rule) <= now else "from"
        seen = f"{tense.capitalize()} {each.rule.since.isoformat()} on: {each.rule.says}"
        page = f" {each.rule.documentation}" if each.rule.documentation else ""
        seen = f"{seen} Connections that were made before: {number}.{page}"
        level = Level.notice if tense == "since" else Level.warning
        found.append(Finding("provider_rules", level, seen, "Connect again those that stop working.", AT_PROVIDER))
    return found


def _unknown_addresses(profile: ClientProfile) -> Iterator[Finding]:
    """Yield what cannot be tried, as each connection fills in a part of its own."""
    if profile.provider is None:
        return
    visited = profile.visited_endpoint or profile.provider.grant in DIRECT_GRANTS
    if visited and profile.token_endpoint:
        return
    names = [name for name, said in profile.provider.inputs.items() if not said.per_client]
    seen = f"Addresses depend on what is filled in for each connection ({', '.join(names)}); they were not tried."
    yield Finding("endpoints", Level.notice, seen)


def _without_component(client: OAuthClient) -> ClientProfile:
    method = METHOD_OF[client.client_auth or "post"]
    return ClientProfile(client.client_id, client.client_secret, "", "", token_endpoint_auth_method=method)


def _as_far_as_fixed(client: OAuthClient, component: Component, *, allow_insecure: bool) -> ClientProfile:
    """Return a profile with those addresses of a component that have no placeholders."""
    bare, descriptor = _without_component(client), readable_descriptor(component)
    if descriptor is None or descriptor.oauth2 is None:
        return bare
    block = descriptor.oauth2
    method = METHOD_OF.get(client.client_auth or block.client_auth or "post", METHOD_OF["post"])
    fixed = replace(
        bare,
        authorization_endpoint=_fixed(block.auth_uri),
        token_endpoint=_fixed(block.token_uri),
        token_endpoint_auth_method=method,
        pkce=block.pkce,
    )
    try:
        return with_issuer(fixed, block, allow_insecure=allow_insecure)
    except ValidationFailed:
        return fixed


def _fixed(address: str | None) -> str:
    return "" if not address or any(placeholders(address)) else address


def _not_planned(wrong: KeyrackError) -> Iterator[Finding]:
    problems: Any = wrong.problems if isinstance(wrong, ValidationFailed) else (wrong.problem,)
    for problem in problems:
        if problem.pointer is not None and problem.pointer.startswith(FIELDS_POINTER):
            seen = f"What each connection fills in is needed, so that not all could be tried: {problem.detail}"
            yield Finding("fields", Level.notice, seen)
        else:
            yield Finding("component", Level.error, f"Nobody can connect: {problem.detail}",
                          "Correct the component or its variables.", Place(Where.component))  # fmt: skip
