"""Records of clients, credentials, secrets and flows (docs/import.md)."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from keyrack.model import Json
from keyrack.model.flows import FlowStatus
from keyrack.model.secrets import ErrorCode, Failure, SecretState
from keyrack.service.importers.platform.links import Link, Links, RevisionLink, Stamps
from keyrack.service.importers.platform.place_records import InTenant
from keyrack.validation.fields import FlowType, Id, Label, Revision, Text, Time

AccountText = Annotated[str, Meta(min_length=1, max_length=255)]
Scopes = tuple[Annotated[str, Meta(min_length=1)], ...]


class OAuthClientRecordAttributes(Struct, frozen=True):
    """A client's id and secret, and how it authenticates; without them those that are stored stay.

    Only a public client's secret is empty.
    """

    client_id: Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"\S")] | UnsetType = UNSET
    client_secret: Annotated[str, Meta(max_length=4096, pattern=r"\S|\A\Z")] | UnsetType = UNSET
    client_auth: Literal["post", "basic", "basic_raw", "none"] | UnsetType | None = UNSET
    secret_expires_at: Time | UnsetType | None = UNSET


class OAuthClientRecordRelationships(InTenant, frozen=True, kw_only=True):
    """A client's component and tenant."""

    component: Link


class OAuthClientRecord(Struct, frozen=True, kw_only=True):
    """An OAuth client."""

    id: Id
    attributes: OAuthClientRecordAttributes = OAuthClientRecordAttributes()
    relationships: OAuthClientRecordRelationships
    meta: Stamps = Stamps()


class AuthClientRecordAttributes(Struct, frozen=True):
    """An auth client; without credentials those that are stored stay."""

    name: Label
    type: Label
    credentials: Json | UnsetType = UNSET
    secret_expires_at: Time | UnsetType | None = UNSET


class AuthClientRecordRelationships(Struct, frozen=True):
    """The components, and at most one scope; none for a global client."""

    components: Links
    tenant: Link | UnsetType = UNSET
    contract: Link | UnsetType = UNSET
    workspace: Link | UnsetType = UNSET


class AuthClientMeta(Stamps, frozen=True, kw_only=True):
    """What Keyrack learned about a client."""

    learned_lifetime: int | UnsetType | None = UNSET
    learned_at: Time | UnsetType | None = UNSET
    rejected_at: Time | UnsetType | None = UNSET
    rejection: Json | UnsetType | None = UNSET
    probe_at: Time | UnsetType | None = UNSET


class AuthClientRecord(Struct, frozen=True):
    """An auth client."""

    id: Id
    attributes: AuthClientRecordAttributes
    relationships: AuthClientRecordRelationships
    meta: AuthClientMeta = AuthClientMeta()


class CredentialRecordAttributes(Struct, frozen=True):
    """A credential; without keys those that are stored stay."""

    name: Text
    keys: Json | UnsetType = UNSET
    account_label: AccountText | UnsetType | None = UNSET
    account_subject: AccountText | UnsetType | None = UNSET


class CredentialRecordRelationships(Struct, frozen=True):
    """Where a credential belongs."""

    workspace: Link
    component: Link
    user: Link


class CredentialRecord(Struct, frozen=True):
    """A credential."""

    id: Id
    attributes: CredentialRecordAttributes
    relationships: CredentialRecordRelationships
    meta: Stamps = Stamps()


class SecretRecordAttributes(Struct, frozen=True):
    """A secret; without credentials those that are stored stay."""

    name: Label
    credentials: Json | UnsetType = UNSET
    state: SecretState = SecretState.ready
    error: Annotated[str, Meta(max_length=4096)] | None = None
    error_code: ErrorCode | None = None
    error_at: Time | None = None
    last_refreshed_at: Time | None = None
    requested_scopes: Scopes = ()
    missing_scopes: Scopes = ()
    account_label: AccountText | None = None
    account_subject: AccountText | None = None
    last_used_at: Time | UnsetType = UNSET


class SecretRecordRelationships(Struct, frozen=True):
    """Where a secret belongs."""

    workspace: Link
    user: Link
    auth_client: Link


class SecretMeta(Stamps, frozen=True, kw_only=True):
    """What Keyrack knows about a secret's tokens."""

    auth_method: Literal["client_secret_basic", "client_secret_post", "client_secret_basic_raw", "none"] | None = None
    issued_at: Time | UnsetType = UNSET
    connected_at: Time | None = None
    ambiguous_since: Time | None = None
    failure: Failure | None = None
    failure_count: Annotated[int, Meta(ge=0)] = 0
    failed_at: Time | None = None
    userinfo_uri: Annotated[str, Meta(max_length=4096)] | None = None
    redirect_uri: Annotated[str, Meta(max_length=4096)] | None = None
    refresh_token_expires_at: Time | None = None
    grant_expires_at: Time | None = None
    dpop_key: Json | None = None
    stated_lifetime: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    lifetime_guessed: bool | None = None
    awaits_cutover: bool = False


class SecretRecord(Struct, frozen=True):
    """An auth secret."""

    id: Id
    attributes: SecretRecordAttributes
    relationships: SecretRecordRelationships
    meta: SecretMeta = SecretMeta()


class FlowRecordAttributes(Struct, frozen=True):
    """A flow."""

    name: Text
    graph: Json
    type: FlowType = "ordinary"
    status: FlowStatus = FlowStatus.inactive
    description: str | UnsetType = UNSET
    cron: str | UnsetType | None = UNSET
    default_mapper_type: Literal["jsonata"] | UnsetType = UNSET
    nodes_config: Json | UnsetType = UNSET
    stats_enabled: bool | UnsetType = UNSET
    created_at: Time | UnsetType = UNSET
    updated_at: Time | UnsetType = UNSET
    last_start_time: Time | UnsetType | None = UNSET
    last_stop_time: Time | UnsetType | None = UNSET


class FlowRecordRelationships(Struct, frozen=True):
    """Where a flow belongs."""

    workspace: Link
    user: Link
    latest_version: RevisionLink | UnsetType = UNSET


class FlowVersionRecordAttributes(Struct, frozen=True):
    """A stored graph."""

    graph: Json
    created_at: Time | UnsetType = UNSET


class FlowVersionRecordRelationships(Struct, frozen=True):
    """Who stored it."""

    user: Link


class FlowVersionRecord(Struct, frozen=True):
    """A stored version of a flow, as the version routes list it."""

    id: Revision
    attributes: FlowVersionRecordAttributes
    relationships: FlowVersionRecordRelationships


class FlowMeta(Struct, frozen=True):
    """A flow's draft and versions, oldest first."""

    draft: Json | None = None
    versions: list[FlowVersionRecord] = []


class FlowRecord(Struct, frozen=True):
    """A flow."""

    id: Id
    attributes: FlowRecordAttributes
    relationships: FlowRecordRelationships
    meta: FlowMeta = FlowMeta()
