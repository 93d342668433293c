"""Second generation: turns a consent's tokens into an auth secret (contract 20.2, 20.4, sections 14, 15)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from keyrack.descriptor.fields import clean_fields
from keyrack.descriptor.model import Descriptor, OAuth2Block
from keyrack.descriptor.parse import parse_descriptor
from keyrack.descriptor.template import placeholders
from keyrack.descriptor.text import scalar_text
from keyrack.errors import (
    NotFound,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RelatedNotFound,
    StateConflict,
    ValidationFailed,
)
from keyrack.model import Json
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.components import Component
from keyrack.model.consents import AuthorizationContext, Consent
from keyrack.model.events import EventType
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.account import AccountSource
from keyrack.oauth.client_auth import unfit_for
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.templates import placeholders as placeholders_of
from keyrack.oauth.scopes import split_scope
from keyrack.oauth.token_response import TokenResponse
from keyrack.provider.uri_guard import check_issuer, check_uri
from keyrack.service.authz.access import Scope
from keyrack.service.clients.auth_client_availability import AUTH_CLIENT_POINTER, available_client
from keyrack.service.clients.auth_client_credentials import SCOPE, redirect_uri_of
from keyrack.service.clients.auth_client_profile import (
    INSTAGRAM,
    client_profile,
    declared_method,
    direct_grant,
    filled_in,
    is_global,
    provider_of,
)
from keyrack.service.clients.profile_rules import wrong_inputs
from keyrack.service.components.visibility import COMPONENT_POINTER, workspace_component
from keyrack.service.consents.provider_accounts import Identified
from keyrack.service.consents.return_url import origin_of_page
from keyrack.service.consents.values import ConsentDestination, NewConsent, PlannedConsent
from keyrack.service.secrets.changes import SecretOwner, bare, created_facts
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import merged, replaces_refresh_token, with_granted, with_tokens
from keyrack.service.secrets.revocation import enqueue_orphan
from keyrack.service.secrets.scope_events import tell_missing_scopes
from keyrack.service.tenancy.redirect_uris import issuer_name_in
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.unit import Unit
from keyrack.store.outbox import Outbox

_FIELDS_POINTER = "/data/attributes/fields"
_NO_EXCHANGE = (
    "its refresh_token_uri does not end in /refresh_access_token, beside which short-lived tokens would be exchanged"
)
_OFFLINE = "offline_access"
_SECRET_POINTER = "/data/relationships/auth_secret/data/id"  # noqa: S105 - a JSON pointer


class SecretHandler:
    """Plans and stores consents with auth clients.

    Args:
        schedule: when tokens are due.
        allow_insecure: accept http URLs and private addresses.
    """

    permissions = ("workspaces.auth_secret.create", "workspaces.auth_secret.edit")
    resource = "auth-secret"
    parameter = "secret_id"

    def __init__(self, schedule: Schedule, *, allow_insecure: bool) -> None:
        self._schedule = schedule
        self._allow_insecure = allow_insecure

    async def plan(self, scope: Scope, wanted: NewConsent) -> PlannedConsent:
        """Judge auth client, component and field values.

        Raises:
            ValidationFailed: the client is not of an oauth2 type, the component is not linked to it, or a field is
                wrong.
            RelatedNotFound: the workspace has no such auth client, component or secret.
        """
        client = await available_client(scope, wanted.auth_client_id or "")
        if not is_oauth2(client.type):
            raise ValidationFailed(Problem("is not of an oauth2 type; create the secret instead", AUTH_CLIENT_POINTER))
        grant = direct_grant(client)
        if grant is not None:
            detail = f"its grant {grant} needs nobody to agree in a browser; create the secret instead"
            raise ValidationFailed(Problem(detail, AUTH_CLIENT_POINTER))
        component = await _linked_component(scope, client, wanted.component_id)
        descriptor = _descriptor(component)
        stored = await _stored(scope, wanted)
        fields = _fields(descriptor, stored, wanted.fields)
        provider = provider_of(client)
        if provider is not None:
            asked = {name: said for name, said in provider.inputs.items() if not said.per_client}
            wrong = wrong_inputs(asked, fields, _FIELDS_POINTER)
            if wrong:
                raise ValidationFailed(*wrong)
        block = (descriptor.oauth2 if descriptor else None) or OAuth2Block()
        method = declared_method(client, block)
        profile = client_profile(client, method, {"fields": fields})
        unfit = unfit_for(profile.token_endpoint_auth_method, profile.client_id, profile.client_secret.reveal())
        if unfit:
            raise ValidationFailed(*(Problem(f"its {name} {why}", AUTH_CLIENT_POINTER) for name, why in unfit.items()))
        if client.type == INSTAGRAM and not profile.exchange_endpoint:
            raise ValidationFailed(Problem(_NO_EXCHANGE, AUTH_CLIENT_POINTER))
        also = () if profile.exchange is None else (profile.exchange_endpoint,)
        token = () if _learns_token_endpoint(profile) else (profile.token_endpoint,)
        for uri in (profile.visited_endpoint, *token, *also):
            check_uri(uri, allow_insecure=self._allow_insecure, pointer=AUTH_CLIENT_POINTER)
        profile = with_issuer(profile, block, allow_insecure=self._allow_insecure)
        profile = with_account_source(profile, client, block, "" if component is None else component.tenant_id)
        scopes = wanted.scopes if wanted.scopes is not None else _scopes(block) or client.credentials.get(SCOPE, "")
        if provider is not None and not scopes.strip():
            scopes = " ".join(provider.scopes.default)
        scopes = _stepped_up(scopes, stored, wanted)
        extra = {name: scalar_text(value) or "" for name, value in block.extra.items()}
        if profile.resource is not None and _OFFLINE in scopes.split():
            extra.setdefault("prompt", "consent")  # OpenID Connect Core section 11
        profile = replace(profile, pkce=profile.pkce and block.pkce)
        name = stored.name if stored else client.name
        return PlannedConsent(
            profile,
            scopes,
            extra,
            name,
            fields,
            auth_method=method,
            long_lived=bool(also),
            own_issuer=client.credentials.get("issuer"),
            issuer_name=issuer_name_in(redirect_uri_of(client) or "") or "",
        )

    async def revalidate(self, scope: Scope, consent: Consent) -> "SecretDestination":
        """Judge once more what was judged at the start, and keep the client from being deleted if tokens are stored.

        Raises:
            StateConflict: the auth client was changed.
            RelatedNotFound: it is gone.
        """
        client = await available_client(scope, consent.auth_client_id or "", held=scope.writes)
        if consent.component_id is not None:
            await _linked_component(scope, client, consent.component_id)
        context = consent.context
        begun = client_profile(client, context.auth_method, {"fields": context.fields})
        if (begun.client_id, begun.token_endpoint) != (context.client_id, context.token_endpoint):
            raise StateConflict("the auth client was changed while you were connecting; start again")
        profile = client_profile(client, context.auth_method, _known_of(context))
        profile = replace(profile, proof_key=context.dpop_key)
        if not profile.token_endpoint:
            raise ProviderError("The provider did not say with the code where it is to be exchanged.")
        return SecretDestination(consent, client, profile, self._schedule)

    async def discard(
        self,
        unit: Unit,
        consent: Consent,
        destination: ConsentDestination | None,
        read: Callable[[ClientProfile], TokenResponse],
    ) -> None:
        """Have them revoked at the provider, under the consent's id.

        Not where the secret that was connected again is still there: to the provider both may be one grant, and what
        works must not die with what came to nothing.
        """
        used = destination.client if isinstance(destination, SecretDestination) else None
        client = used or await find_usable(unit, consent.auth_client_id or "")
        again = consent.auth_secret_id
        if client is None or (again is not None and await AuthSecrets(unit).find(again) is not None):
            return
        method = consent.context.auth_method  # a consent that is over has none; then it is the client's own
        try:
            tokens = read(client_profile(client, method, _known_of(consent.context)))
        except (ProviderError, ProviderUnavailable):
            return
        owner = SecretOwner(consent.tenant_id, consent.workspace_id, consent.user_id)
        empty = bare(owner, client, client.name, method, unit.clock())
        await enqueue_orphan(unit, replace(empty, id=consent.id, credentials=merged({}, tokens)), client)


@dataclass(frozen=True, slots=True)
class SecretDestination:
    """A secret to be made or connected again."""

    consent: Consent
    client: AuthClient
    profile: ClientProfile
    schedule: Schedule

    async def store(self, scope: Scope, tokens: TokenResponse, at: datetime, whose: Identified) -> str:
        """Put the tokens into a secret and return its id; a missing refresh token is fine (contract 20.4).

        Raises:
            NotFound: the secret to connect again is gone.
        """
        consent, rows = self.consent, AuthSecrets(scope.unit)
        if consent.auth_secret_id is None:
            owner = SecretOwner(consent.tenant_id, consent.workspace_id, consent.user_id)
            empty = bare(owner, self.client, consent.context.name, consent.context.auth_method, at)
            secret = self._granted(empty, tokens, at, whose)
            await rows.add(secret)
            await Outbox(scope.unit).add(EventType.secret_created, created_facts(secret, at))
            await tell_missing_scopes(scope.unit, (), secret, at)
            return secret.id
        stored = await rows.find(consent.auth_secret_id, locked=True)
        if stored is None:
            raise NotFound("the secret was deleted while you were connecting")
        stored = replace(stored, auth_method=consent.context.auth_method)
        secret = self._granted(stored, tokens, at, whose)
        replaced = replaces_refresh_token(stored, secret.credentials)
        await rows.replace(secret, refresh_token_replaced=replaced)
        await tell_missing_scopes(scope.unit, stored.missing_scopes, secret, at)
        return secret.id

    def _granted(self, secret: AuthSecret, tokens: TokenResponse, at: datetime, whose: Identified) -> AuthSecret:
        """Return a secret with a new grant: tokens, whose account, what was asked for, and what was not granted."""
        # a grant of Keyrack's own: nobody else renews it
        begun = replace(secret, connected_at=at, cutover_batch_id=None)
        fresh = with_tokens(
            begun, self.client, self._credentials(secret.credentials, tokens, whose.learned), self.schedule, at
        )
        requested = split_scope(self.consent.context.scope)
        context = self.consent.context
        asked = replace(
            fresh,
            connected_at=at,
            redirect_uri=context.redirect_uri,
            requested_scopes=requested,
            missing_scopes=(),
            dpop_key=context.dpop_key,
        )
        return with_granted(replace(asked, account=whose.account, userinfo_uri=whose.userinfo_uri), tokens)

    def _credentials(self, stored: Json, tokens: TokenResponse, learned: Mapping[str, str]) -> Json:
        context = self.consent.context
        before = {name: value for name, value in stored.items() if name != "scope"}  # it is another grant's
        asked: Json = {"fields": context.fields} if context.fields else {}
        if context.scope:
            asked["scope"] = context.scope
        if context.additional_params:
            asked["additional_params"] = json.dumps(context.additional_params, ensure_ascii=False)
        made = merged({**before, **asked}, tokens)
        made["undefined_params"] |= learned
        return made


def _learns_token_endpoint(profile: ClientProfile) -> bool:
    """Tell whether only the callback says where the code is exchanged, as with Lightspeed's `domain_prefix`."""
    if profile.provider is None or profile.token_endpoint:
        return False
    named = set(placeholders_of(profile.provider.endpoints.token or ()))
    return not named.isdisjoint(profile.provider.callback.learned)


def _known_of(context: AuthorizationContext) -> Json:
    """Return what is known of a connection before it is stored, as its credentials would have it."""
    return {"fields": context.fields, "undefined_params": context.learned or {}}


async def _linked_component(scope: Scope, client: AuthClient, component_id: str | None) -> Component | None:
    """Return the component that was named, which must be linked to the client (contract 0.11)."""
    if component_id is None:
        return None
    component = await workspace_component(scope, component_id)
    if component_id not in client.component_ids:
        raise ValidationFailed(Problem("the auth client is not linked to this component", COMPONENT_POINTER))
    return component


def _descriptor(component: Component | None) -> Descriptor | None:
    return None if component is None or component.latest is None else parse_descriptor(component.latest.descriptor)


async def _stored(scope: Scope, wanted: NewConsent) -> AuthSecret | None:
    """Return the secret that is connected again."""
    if wanted.auth_secret_id is None:
        return None
    secret = await AuthSecrets(scope.unit).find(wanted.auth_secret_id)
    here = secret is not None and secret.workspace_id == scope.place.workspace_id
    if secret is None or not here or secret.auth_client_id != wanted.auth_client_id:
        raise RelatedNotFound("there is no such secret", pointer=_SECRET_POINTER)
    return secret


def _fields(descriptor: Descriptor | None, stored: AuthSecret | None, given: Mapping[str, Any]) -> Json:
    """Return the values of the fields beside the OAuth field, checked where the component is known (19.3)."""
    values = {**(filled_in(stored.credentials) if stored else {}), **given}
    if descriptor is None:
        return {name: value for name, value in values.items() if value is not None}
    cleaned = dict(clean_fields(descriptor, values, _FIELDS_POINTER))
    if descriptor.oauth_field is not None:
        cleaned.pop(descriptor.oauth_field, None)
    return cleaned


def _stepped_up(scopes: str, stored: AuthSecret | None, wanted: NewConsent) -> str:
    """Return the scopes to ask for: with those that the secret asked for before, and those that a resource needs.

    A new consent replaces the grant, so that what is not asked for again would be lost.
    """
    if not wanted.include_granted_scopes and not wanted.challenge_scopes:
        return scopes
    before: Sequence[str] = () if stored is None else stored.requested_scopes
    if before and wanted.scopes is None:
        scopes = ""  # what is usual was asked for before, if it was wanted
    return " ".join(dict.fromkeys([*before, *scopes.split(), *wanted.challenge_scopes]))


def _scopes(block: OAuth2Block) -> str:
    return block.scopes if isinstance(block.scopes, str) else " ".join(block.scopes or ())


def with_issuer(profile: ClientProfile, block: OAuth2Block, *, allow_insecure: bool) -> ClientProfile:
    """Return a profile with the issuer of the component's `oauth2` block, unless the auth client names one.

    The block's counts only for the server that the block is about: not where its `auth_uri` is at another origin than
    the client's, and not where either is a template, which nothing fills in for auth clients.

    Raises:
        ValidationFailed: the block's issuer is none (RFC 8414 section 2).
    """
    if profile.issuer is not None or block.issuer is None or any(placeholders(block.issuer)):
        return profile
    if not _is_about(block, profile):
        return profile
    check_issuer(block.issuer, allow_insecure=allow_insecure, pointer=COMPONENT_POINTER)
    sends_iss = block.sends_iss if profile.sends_iss is None else profile.sends_iss
    return replace(profile, issuer=block.issuer, sends_iss=sends_iss)


def with_account_source(profile: ClientProfile, client: AuthClient, block: OAuth2Block, owner: str) -> ClientProfile:
    """Return a profile with what the component says of where the provider tells whose account it is (decision 33).

    The auth client's own word counts first. A component's address is told users' tokens, so it counts where the
    component is of the client's own tenant, or leads to the server that the client itself names; never for a global
    client, whose users' tokens are no business of one tenant's developer.

    Args:
        profile: the client and its provider.
        client: the auth client.
        block: the component's.
        owner: id of the tenant that the component is of.
    """
    own = profile.account
    uri = own.userinfo_uri or _component_userinfo(profile, client, block, owner)
    labels = own.label_paths or tuple(filter(None, (block.account_label_path,)))
    subjects = own.subject_paths or tuple(filter(None, (block.account_subject_path,)))
    return replace(profile, account=AccountSource(uri, labels, subjects))


def _component_userinfo(profile: ClientProfile, client: AuthClient, block: OAuth2Block, owner: str) -> str | None:
    uri = block.userinfo_uri
    if uri is None or is_global(client) or any(placeholders(uri)) or not _is_about(block, profile):
        return None
    servers = {origin_of_page(profile.authorization_endpoint), origin_of_page(profile.token_endpoint)} - {None}
    return uri if owner == client.tenant_id or origin_of_page(uri) in servers else None


def _is_about(block: OAuth2Block, profile: ClientProfile) -> bool:
    """Tell whether a component's `oauth2` block is about the server of a profile."""
    return not block.auth_uri or (
        not any(placeholders(block.auth_uri))
        and origin_of_page(block.auth_uri) == origin_of_page(profile.authorization_endpoint)
    )
