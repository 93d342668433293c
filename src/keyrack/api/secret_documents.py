"""Auth secrets as documents, in and out (contract section 15)."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.core.body import or_none
from keyrack.api.core.jsonapi import Linkage, NewResource, Relationship, SelfLink, Text, link_self, related
from keyrack.clock import iso
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.service.secrets.changes import ChangedSecret, NewSecret, StateChange
from keyrack.service.secrets.oauth2_credentials import shown
from keyrack.service.secrets.secrets import SecretView
from keyrack.service.secrets.status import SecretStatus

State = Literal["ready", "error"]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
ErrorText = Annotated[str, Meta(max_length=4096)]
_KEYS = {"auth_client": "auth_client", "auth_client_dashed": "auth-client"}


class ClientOfSecret(msgspec.Struct):
    """Linkage to the auth client."""

    id: Text
    type: Literal["auth-client"]


class SecretRelationshipsInput(msgspec.Struct):
    """The auth client, under either key; both must name the same one."""

    auth_client: Linkage[ClientOfSecret] | UnsetType = UNSET
    auth_client_dashed: Linkage[ClientOfSecret] | UnsetType = msgspec.field(default=UNSET, name="auth-client")


class NewSecretAttributes(msgspec.Struct):
    """Name, credentials, and the state if it is not `ready`."""

    name: Name
    credentials: dict[str, Any]
    state: State = "ready"
    error: ErrorText | None = None


class CreateSecret(NewResource):
    """Data of a create request."""

    type: Literal["auth-secret"]
    attributes: NewSecretAttributes
    relationships: SecretRelationshipsInput


class CreateSecretBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateSecret


class ChangedSecretAttributes(msgspec.Struct):
    """What changes; absent members stay."""

    name: Name | UnsetType = UNSET
    credentials: dict[str, Any] | UnsetType = UNSET
    state: State | UnsetType = UNSET
    error: ErrorText | UnsetType | None = UNSET


class ChangeSecret(msgspec.Struct):
    """Data of an update request."""

    type: Literal["auth-secret"]
    id: str | UnsetType = UNSET
    attributes: ChangedSecretAttributes = msgspec.field(default_factory=ChangedSecretAttributes)
    relationships: SecretRelationshipsInput = msgspec.field(default_factory=SecretRelationshipsInput)


class ChangeSecretBody(msgspec.Struct):
    """Body of an update request."""

    data: ChangeSecret


class LastError(msgspec.Struct):
    """The last failed refresh (extension)."""

    class_: str = msgspec.field(name="class")
    text: str
    at: str
    count: int


class SecretAttributes(msgspec.Struct):
    """A secret's values; credentials only with `workspaces.auth_secret.get_credentials`, the others if there is one."""

    name: str
    type: str
    state: State
    requested_scopes: Sequence[str]
    missing_scopes: Sequence[str]
    error: str | UnsetType = UNSET
    credentials: dict[str, Any] | UnsetType = UNSET
    error_code: str | UnsetType = UNSET
    error_at: str | UnsetType = UNSET
    last_refreshed_at: str | UnsetType = UNSET
    next_refresh_at: str | UnsetType = UNSET
    last_error: LastError | UnsetType = UNSET
    last_used_at: str | UnsetType = UNSET
    refresh_token_expires_at: str | UnsetType = UNSET
    grant_expires_at: str | UnsetType = UNSET
    account_label: str | UnsetType = UNSET
    account_subject: str | UnsetType = UNSET


class SecretRelationships(msgspec.Struct):
    """Workspace, owner, and the auth client under both keys."""

    workspace: Relationship
    user: Relationship
    auth_client: Relationship
    auth_client_dashed: Relationship = msgspec.field(name="auth-client")


class SecretResource(msgspec.Struct):
    """An auth secret."""

    id: str
    links: SelfLink
    attributes: SecretAttributes
    relationships: SecretRelationships
    type: Literal["auth-secret"] = "auth-secret"


def new_secret(body: CreateSecretBody) -> NewSecret:
    """Make a command of a create request.

    Raises:
        ValidationFailed: no auth client is named, or two different ones.
    """
    named = _clients(body.data.relationships)
    if not named:
        raise ValidationFailed(Problem("auth_client is required", "/data/relationships/auth_client"))
    if len(set(named.values())) > 1:
        detail = "auth_client and auth-client name different auth clients"
        raise ValidationFailed(Problem(detail, "/data/relationships/auth-client/data/id"))
    pointer, client_id = next(iter(named.items()))
    given = body.data.attributes
    return NewSecret(
        auth_client_id=client_id,
        auth_client_pointer=pointer,
        name=given.name,
        credentials=given.credentials,
        state=SecretState(given.state),
        error=given.error or None,
        given_id=body.data.given_id,
    )


def changed_secret(body: ChangeSecretBody, stored: AuthSecret) -> ChangedSecret:
    """Make a command of an update request.

    Raises:
        ValidationFailed: another auth client is named, which cannot be changed (contract 15.2).
    """
    others = [at for at, client_id in _clients(body.data.relationships).items() if client_id != stored.auth_client_id]
    if others:
        raise ValidationFailed(*[Problem("the auth client of a secret cannot be changed", at) for at in others])
    given = body.data.attributes
    state_change = StateChange(
        None if given.state is UNSET else SecretState(given.state),
        or_none(given.error) or None,
        error_given=given.error is not UNSET,
    )
    return ChangedSecret(or_none(given.name), or_none(given.credentials), state_change)


def secret_resource(view: SecretView) -> SecretResource:
    """Return a secret as its caller may see it."""
    secret = view.secret
    client = related("auth-client", "/v2/auth-clients", secret.auth_client_id)
    return SecretResource(
        secret.id,
        link_self(f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"),
        _attributes(secret, view.status, visible=view.credentials_visible),
        SecretRelationships(
            workspace=related("workspace", "/v2/workspaces", secret.workspace_id),
            user=related("user", "/v2/users", secret.user_id),
            auth_client=client,
            auth_client_dashed=client,
        ),
    )


def _clients(given: SecretRelationshipsInput) -> dict[str, str]:
    """Return the ids of the auth clients that are named, by their pointers."""
    return {
        f"/data/relationships/{key}/data/id": getattr(given, member).data.id
        for member, key in _KEYS.items()
        if getattr(given, member) is not UNSET
    }


def _attributes(secret: AuthSecret, said: SecretStatus, *, visible: bool) -> SecretAttributes:
    failure: LastError | UnsetType = UNSET
    if secret.failure is not None and secret.failed_at is not None:
        failure = LastError(secret.failure.kind, secret.failure.text, iso(secret.failed_at), secret.failure_count)
    times = {
        "error_at": said.error_at,
        "last_refreshed_at": secret.refreshed_at,
        "next_refresh_at": secret.next_refresh_at,
        "last_used_at": secret.last_used_at,
        "refresh_token_expires_at": secret.refresh_token_expires_at,
        "grant_expires_at": secret.grant_expires_at,
    }
    return SecretAttributes(
        secret.name,
        secret.type,
        said.state.value,
        secret.requested_scopes,
        secret.missing_scopes,
        error=said.error or UNSET,
        credentials=shown(secret) if visible and said.error_code is not ErrorCode.unreadable else UNSET,
        error_code=said.error_code.value if said.error_code else UNSET,
        last_error=failure,
        account_label=secret.account.label or UNSET,
        account_subject=secret.account.subject or UNSET,
        **{name: iso(moment) for name, moment in times.items() if moment is not None},
    )
