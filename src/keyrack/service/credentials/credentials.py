"""First-generation credentials (contract section 16) and what a component hands back for them (18.3)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keyrack.descriptor.fields import clean_fields
from keyrack.descriptor.http_auth import TOKEN_PATH
from keyrack.descriptor.model import Descriptor
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import NotFound, OAuthClientMissing, Problem, RelatedNotFound, ValidationFailed
from keyrack.model.components import Component
from keyrack.model.credentials import Credential
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.once import Once
from keyrack.oauth.token_response import still_true
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.freezing import require_component_thawed
from keyrack.service.authz.references import named_in_body, refuse_taken
from keyrack.service.authz.task_users import HAND_BACK_KEYS, READ_CREDENTIALS
from keyrack.service.authz.usage_guard import in_use, nameable
from keyrack.service.components.visibility import COMPONENT_POINTER, workspace_component
from keyrack.service.credentials.token_merge import under_their_field
from keyrack.store.components import ComponentRows
from keyrack.store.core.large_columns import in_batches
from keyrack.store.core.paging import After
from keyrack.store.credentials import CredentialRows
from keyrack.store.freezes import Freezes
from keyrack.store.usage import Usages
from keyrack.validation.unvalidated import Unvalidated

EDIT = "workspaces.credential.edit"
_READ = "credential.read"
KEYS_POINTER = "/data/attributes/keys"
_TOKEN_MEMBERS = ("refresh_token", "undefined_params", "instance_url")
_MEMBERS_ONLY = "only members of the workspace can see its credentials"


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a caller sends to create a credential."""

    workspace_id: str
    component_id: str
    name: str | None
    keys: Mapping[str, Any] = field(repr=False)
    given_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChangedCredential:
    """What a caller sends to change one; None keeps what is stored."""

    name: str | None
    keys: Mapping[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CredentialView:
    """A credential as the caller may see it: without `workspaces.credential.edit` its keys are hidden (0.4)."""

    credential: Credential
    keys_visible: bool

    @property
    def left_out(self) -> int:
        """Bytes of the keys, if a list has left them out for now."""
        return self.credential.left_out


class Credentials:
    """Use cases of contract section 16."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(
        self, who: Principal, workspace_id: str, component_id: str | None, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[CredentialView], int]:
        """List a workspace's credentials, optionally only those of a component; return a page and the total."""
        async with self._access.workspace(who, workspace_id, door=READ_CREDENTIALS) as scope:
            scope.require_that(scope.in_workspace, _MEMBERS_ONLY)
            shown = scope.allows(EDIT)
            found, total = await CredentialRows(scope.unit).page(
                workspace_id, component_id, with_keys=shown, limit=limit, offset=offset
            )
            frozen = await Freezes(scope.unit).frozen()
            views = [
                CredentialView(each, shown and not frozen.covers_component(each.tenant_id, each.component_id))
                for each in found
            ]
            named = [view.credential.id for view in views if view.keys_visible]
            if named:
                self._access.counts.disclosed(who, scope.unit.tenant_id, _READ, "credential", named)
            return views, total

    async def named(
        self,
        who: Principal,
        workspace_id: str,
        component_id: str | None,
        *,
        beginning: str = "",
        limit: int,
        offset: int,
    ) -> tuple[Sequence[Credential], int]:
        """List a workspace's credentials without their keys, for people; return a page and the total.

        Args:
            who: is asking.
            workspace_id: the workspace.
            component_id: only those of a component, if given.
            beginning: only those in whose name a word begins so, or that have this id; empty for all.
            limit: how many at most.
            offset: how many to pass over.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require_that(scope.in_workspace, _MEMBERS_ONLY)
            return await CredentialRows(scope.unit).page(
                workspace_id, component_id, beginning=beginning, with_keys=False, limit=limit, offset=offset
            )

    def whole(self, found: Sequence[CredentialView]) -> AsyncIterator[CredentialView]:
        """Yield the credentials of a list with the keys that were left out."""

        async def read(some: Sequence[CredentialView]) -> Mapping[str, CredentialView]:
            async with self._access.reading_on(some[0].credential.tenant_id) as unit:
                whole = await CredentialRows(unit).whole([view.credential for view in some])
                frozen = await Freezes(unit).frozen()
            return {
                name: CredentialView(each, not frozen.covers_component(each.tenant_id, each.component_id))
                for name, each in whole.items()
            }

        return in_batches(found, lambda view: view.left_out, lambda view: view.credential.id, read)

    async def get(self, who: Principal, credential_id: str) -> CredentialView:
        """Return one.

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
        """
        async with self._access.by_resource(who, "credential", credential_id, door=READ_CREDENTIALS) as scope:
            found = await _find(scope, credential_id)
            await require_component_thawed(scope.unit, found.tenant_id, found.component_id)
            view = CredentialView(found, scope.allows(EDIT))
            if view.keys_visible:
                self._access.counts.disclosed(who, scope.unit.tenant_id, _READ, "credential", [credential_id])
            return view

    async def disclose(self, who: Principal, credential_id: str) -> CredentialView:
        """Return one with its keys to a person who wants to read them; unlike `get`, this is audited.

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
            Forbidden: the caller may not see keys (contract 0.4).
        """
        async with self._access.by_resource(who, "credential", credential_id, "credential.disclose") as scope:
            scope.require(EDIT)
            scope.audit_target("credential", credential_id)
            found = await _find(scope, credential_id)
            await require_component_thawed(scope.unit, found.tenant_id, found.component_id)
            return CredentialView(found, keys_visible=True)

    async def create(
        self,
        who: Principal,
        workspace_id: Unvalidated[str],
        new: Unvalidated[NewCredential],
        once: Once | None = None,
    ) -> CredentialView:
        """Create a credential; the workspace is named in the body, so its form is judged before the permission.

        Args:
            who: the caller.
            workspace_id: where.
            new: what it is to be.
            once: of a form that may be sent twice, which makes one credential.

        Raises:
            Forbidden: no `workspaces.credential.edit`, or the caller is no user: a credential names its owner.
            ValidationFailed: the body or a field value is wrong, or an OAuth value has no refresh token.
            IdConflict: the body has the id of another credential.
            RelatedNotFound: the workspace does not exist or does not have the component; one that waits for the
                tenant's OAuth client is not there yet.
        """
        with named_in_body("workspace"):
            entered = self._access.workspace(who, workspace_id.validated(), "credential.create")
            async with entered as scope:
                scope.require(EDIT)
                scope.require_that(who.kind is PrincipalKind.user, "only a user can own a credential")
                wanted = new.validated()
                await refuse_taken(scope, "credential", wanted.given_id)
                component = await _component(scope, wanted.component_id)
                keys = _checked_keys(component, wanted.keys, {})
                name = wanted.name or f"{component.name} credential"
                made = await CredentialRows(scope.unit).add(
                    wanted.workspace_id, component.id, who.id, name, keys, made_id=None if once is None else once.id
                )
                scope.audit_target("credential", made.id)
                return CredentialView(made, keys_visible=True)

    async def change(self, who: Principal, credential_id: str, new: Unvalidated[ChangedCredential]) -> CredentialView:
        """Change name or keys; supplied keys replace the stored ones entirely (contract section 16).

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
            ValidationFailed: the body or a field value is wrong, or an OAuth value has no refresh token at all.
        """
        async with self._access.by_resource(who, "credential", credential_id, "credential.edit") as scope:
            scope.require(EDIT)
            await CredentialRows(scope.unit).lock_to_change(credential_id)
            stored = await _find(scope, credential_id)
            await require_component_thawed(scope.unit, stored.tenant_id, stored.component_id)
            wanted = new.validated()
            changed = replace(stored, name=wanted.name or stored.name)
            if wanted.keys is not None:
                component = await ComponentRows(scope.unit).find(stored.component_id)
                changed = replace(changed, keys=_checked_keys(component, wanted.keys, stored.keys))
            await CredentialRows(scope.unit).replace(changed)
            scope.audit_target("credential", credential_id)
            return CredentialView(changed, keys_visible=True)

    async def delete(self, who: Principal, credential_id: str) -> None:
        """Delete a credential that no active flow uses.

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
            InUse: an active flow uses it.
        """
        async with self._access.by_resource(who, "credential", credential_id, "credential.delete") as scope:
            scope.require(EDIT)
            await CredentialRows(scope.unit).lock_to_delete(credential_id)
            await _find(scope, credential_id)
            flows = await Usages(scope.unit).active_flows_with_credential(credential_id)
            if flows:
                raise in_use("the credential", len(flows), await nameable(scope, flows))
            await CredentialRows(scope.unit).remove(credential_id)
            scope.audit_target("credential", credential_id)

    async def update_keys(self, who: Principal, credential_id: str, given: Unvalidated[Mapping[str, Any]]) -> None:
        """Merge what a component hands back through `updateKeys` (contract 18.3).

        Top-level keys are merged; inside an OAuth value a missing refresh token, `undefined_params` or
        `instance_url` is kept from the stored one, without what was true of the old token only. A bare token response
        is the value of the OAuth field.
        """
        action = "credential.update-keys"
        async with self._access.by_resource(who, "credential", credential_id, action, HAND_BACK_KEYS) as scope:
            scope.require(EDIT)
            await CredentialRows(scope.unit).lock_to_change(credential_id)
            stored = await _find(scope, credential_id)
            keys = dict(stored.keys)
            component = await ComponentRows(scope.unit).find(stored.component_id)
            path = _token_path(component)
            handed_back = given.validated() if path is None else under_their_field(keys, path, given.validated())
            for name, value in handed_back.items():
                keys[name] = _kept(value, keys.get(name))
            await CredentialRows(scope.unit).replace(replace(stored, keys=keys))
            scope.audit_target("credential", credential_id)


async def _find(scope: Scope, credential_id: str) -> Credential:
    credential = await CredentialRows(scope.unit).find(credential_id)
    if credential is None:
        raise NotFound
    return credential


async def _component(scope: Scope, component_id: str) -> Component:
    """Return a component that satisfies `workspace_has`; 0.4 makes the closed gate no exception here."""
    try:
        return await workspace_component(scope, component_id)
    except OAuthClientMissing:
        raise RelatedNotFound("there is no such component", pointer=COMPONENT_POINTER) from None


def _token_path(component: Component | None) -> Sequence[str] | None:
    """Return the member names from `keys` to the OAuth tokens; None where a credential of this component has none."""
    if component is None or component.latest is None:
        return None
    return _path_in(parse_descriptor(component.latest.descriptor))


def _path_in(descriptor: Descriptor) -> Sequence[str] | None:
    """Return the member names from `keys` to the OAuth tokens; None where a credential has none."""
    name = descriptor.oauth_field
    if name is None or (descriptor.oauth2 is None and not descriptor.uses_http_auth):
        return None
    return (name, *TOKEN_PATH) if descriptor.uses_http_auth else (name,)


def _kept(new: Any, old: Any, path: Sequence[str] = TOKEN_PATH) -> Any:
    """Return a new value with what an OAuth value must not lose; in an `HTTPAuthView` that is further inside."""
    if not (isinstance(new, Mapping) and isinstance(old, Mapping)):
        return new
    if "access_token" in new or "access_token" in old:
        kept = {name: old[name] for name in _TOKEN_MEMBERS if name in old}
        params = kept.get("undefined_params")
        if isinstance(params, Mapping) and new.get("access_token") not in (None, old.get("access_token")):
            kept["undefined_params"] = still_true(params, refresh_token_kept="refresh_token" not in new)
        return kept | dict(new)
    if path and path[0] in new:
        return {**new, path[0]: _kept(new[path[0]], old.get(path[0]), path[1:])}
    return new


def _checked_keys(component: Component | None, keys: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Check values by view class and apply the refresh-token rule; a component that is gone leaves them as they are."""
    if component is None or component.latest is None:
        return dict(keys)
    descriptor = parse_descriptor(component.latest.descriptor)
    cleaned: dict[str, Any] = dict(clean_fields(descriptor, keys, KEYS_POINTER))
    return _with_refresh_token(descriptor, cleaned, stored)


def _with_refresh_token(descriptor: Descriptor, keys: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """An OAuth 2.0 key needs a refresh token: take over the stored one, else refuse (contract section 16, 24.12)."""
    path = _path_in(descriptor)
    if path is None:
        return keys
    tokens, kept = _inside(keys, path), _inside(stored, path)
    if not tokens.get("access_token") or tokens.get("refresh_token"):
        return keys
    if not kept.get("refresh_token"):
        pointer = "/".join([KEYS_POINTER, *path, "refresh_token"])
        detail = "refresh_token is required beside access_token; some providers give one for offline access only"
        raise ValidationFailed(Problem(detail, pointer))
    tokens["refresh_token"] = kept["refresh_token"]
    return keys


def _inside(keys: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    found: Any = keys
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else {}
