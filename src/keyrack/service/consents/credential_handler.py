"""First generation: turns a consent's tokens into a credential (contract 20.2, 20.4, 21, 0.17)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from keyrack.descriptor.first_generation import ResolvedOAuth
from keyrack.errors import NotFound, RelatedNotFound, StateConflict
from keyrack.model.clients import OAuthClient
from keyrack.model.consents import Consent
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.authz.access import Scope
from keyrack.service.clients.live_secrets import with_second_secret
from keyrack.service.components.visibility import workspace_component
from keyrack.service.consents.block_profile import with_block_profile
from keyrack.service.consents.plan import ConsentPlanner, descriptor_of, profile_of
from keyrack.service.consents.provider_accounts import Identified
from keyrack.service.consents.values import ConsentDestination, NewConsent, PlannedConsent
from keyrack.service.credentials.token_merge import merge_token_credentials, merge_tokens
from keyrack.store.core.unit import Unit
from keyrack.store.credentials import CredentialRows
from keyrack.store.oauth_clients import OAuthClientRows

_PERMISSION = "workspaces.credential.edit"


class CredentialHandler:
    """Plans and stores consents for components with an OAuth field."""

    permissions = (_PERMISSION, _PERMISSION)
    resource = "credential"
    parameter = "credential_id"

    def __init__(self, planner: ConsentPlanner) -> None:
        self._planner = planner

    async def plan(self, scope: Scope, wanted: NewConsent) -> PlannedConsent:
        """Fill in the component's descriptor.

        Raises:
            ValidationFailed: a field or a template is wrong.
            RelatedNotFound: the workspace does not have the component or credential.
            OAuthClientMissing: the tenant has no OAuth client for the component (contract 0.4).
        """
        component = await workspace_component(scope, wanted.component_id or "")
        stored = await _stored_fields(scope, wanted)
        plan, fields, client = await self._planner.plan(scope, component, stored | dict(wanted.fields))
        profile = with_block_profile(profile_of(plan), descriptor_of(component), fields, client)
        asked = plan.scope if profile.provider is None else plan.scope or " ".join(profile.provider.scopes.default)
        return PlannedConsent(profile, asked, plan.extra, component.name, dict(fields))

    async def revalidate(self, scope: Scope, consent: Consent) -> "CredentialDestination":
        """Judge once more what was judged at the start.

        Raises:
            StateConflict: the OAuth client was changed.
            KeyrackError: as `plan`.
        """
        component = await workspace_component(scope, consent.component_id or "")
        context = consent.context
        plan, _, client = await self._planner.plan(scope, component, context.fields)
        if (plan.client_id, plan.token_endpoint) != (context.client_id, context.token_endpoint):
            raise StateConflict("the OAuth client was changed while you were connecting; start again")
        known = {**context.fields, **(context.learned or {})}
        profile = with_block_profile(profile_of(plan), descriptor_of(component), known, client)
        return CredentialDestination(consent, plan, client, with_second_secret(profile, client))

    async def discard(
        self,
        unit: Unit,
        consent: Consent,
        destination: ConsentDestination | None,
        read: Callable[[ClientProfile], TokenResponse],
    ) -> None:
        """Leave them to their expiry: no descriptor says where tokens are revoked (contract section 19)."""


@dataclass(frozen=True, slots=True)
class CredentialDestination:
    """A credential to be made or connected again."""

    consent: Consent
    plan: ResolvedOAuth
    client: OAuthClient | None
    profile: ClientProfile

    async def store(self, scope: Scope, tokens: TokenResponse, at: datetime, whose: Identified) -> str:
        """Put the tokens into a credential and return its id.

        Raises:
            ProviderError: there is no refresh token, neither new nor stored (contract 24.12).
            NotFound: the credential to connect again is gone.
        """
        del at
        if self.client is not None:
            await OAuthClientRows(scope.unit).touch(self.client.id)
        rows, consent, path = CredentialRows(scope.unit), self.consent, self.plan.token_path
        fields = consent.context.fields
        merge = merge_tokens if self.plan.temporary_credentials_endpoint is None else merge_token_credentials
        if consent.credential_id is None:
            keys = merge(fields, path, tokens)
            place = (consent.workspace_id, consent.component_id or "")
            added = await rows.add(*place, consent.user_id, consent.context.name, keys, account=whose.account)
            return added.id
        await rows.lock_to_change(consent.credential_id)
        credential = await rows.find(consent.credential_id)
        if credential is None:
            raise NotFound("the credential was deleted while you were connecting")
        # what is stored now, not at the start: another consent may have brought a newer refresh token
        current = {**credential.keys, **{name: value for name, value in fields.items() if name != path[0]}}
        await rows.replace(replace(credential, keys=merge(current, path, tokens), account=whose.account))
        return credential.id


async def _stored_fields(scope: Scope, wanted: NewConsent) -> dict[str, Any]:
    """Return the stored values of the credential that is connected again."""
    if wanted.credential_id is None:
        return {}
    credential = await CredentialRows(scope.unit).find(wanted.credential_id)
    here = credential is not None and credential.workspace_id == scope.place.workspace_id
    if credential is None or not here or credential.component_id != wanted.component_id:
        raise RelatedNotFound("there is no such credential", pointer="/data/relationships/credential/data/id")
    return credential.keys
