"""The file format, version 1 (docs/import.md): each record has the shape of the API's document of the same resource.

What the API does not show of a record stands in its `meta`. Members that no record names are ignored, so that `links`
and the like may stay in what was copied from the API.
"""

from collections.abc import Mapping

from msgspec import Struct

from keyrack.service.importers.platform.grant_records import (
    AuthClientRecord,
    CredentialRecord,
    FlowRecord,
    OAuthClientRecord,
    SecretRecord,
)
from keyrack.service.importers.platform.place_records import (
    ComponentRecord,
    ContractRecord,
    ContractShape,
    TeamRecord,
    TenantRecord,
    TenantShape,
    UserRecord,
    WorkspaceRecord,
    WorkspaceShape,
)

FORMAT = "keyrack-platform"
VERSION = 1

SECTIONS: Mapping[str, type[Struct]] = {
    "tenants": TenantRecord,
    "users": UserRecord,
    "contracts": ContractRecord,
    "workspaces": WorkspaceRecord,
    "teams": TeamRecord,
    "components": ComponentRecord,
    "oauth_clients": OAuthClientRecord,
    "auth_clients": AuthClientRecord,
    "credentials": CredentialRecord,
    "auth_secrets": SecretRecord,
    "flows": FlowRecord,
}
"""The members of a file with records, each after those it refers to."""

SHAPES: Mapping[str, type[Struct]] = {"tenants": TenantShape, "contracts": ContractShape, "workspaces": WorkspaceShape}
"""What is checked besides of records whose attributes are kept as they are."""
