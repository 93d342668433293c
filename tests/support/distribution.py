"""The schema as an engine would have it that parts tables by tenant, such as Citus (docs/sizing.md).

Such an engine demands of a distributed table that the tenant is in its primary key, in everything that is unique, and
in every foreign key to another distributed table. Reference tables are on every node, so whoever refers to them needs
no tenant for it; they cannot refer to distributed tables. Local tables are on one node.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from keyrack.store.schema import metadata

TENANT = "tenant_id"
DISTRIBUTED = {
    "attempts", "audit_counts", "audit_chains", "audit_checkpoints", "audit_events", "auth_secrets", "connect_links",
    "consents", "contained_grants",
    "credentials", "deliveries", "device_polls", "events", "flow_credentials", "flow_references", "flow_secrets",
    "flow_versions", "flows", "import_entries", "mails", "revocations", "search_words",
}  # fmt: skip
"""What grows with grants, flows and traffic; each row has its tenant."""

REFERENCE: Mapping[str, str] = {
    "tenants": "one row a tenant; everything hangs on it",
    "users": "people, who are found by email before their tenant is known",
    "service_accounts": "the installation's own, of no tenant",
    "api_keys": "found by their hash before anybody is known; a few for each person",
    "roles": "a handful for each tenant, read with each request",
    "contracts": "a few for each tenant, joined with each request",
    "contract_members": "read with each request, to know what the caller may do",
    "contract_invites": "few, and joined with contracts",
    "workspaces": "a few for each contract, joined with each request",
    "workspace_members": "read with each request, to know what the caller may do",
    "teams": "few; their names are unique in the installation",
    "team_members": "read with components",
    "setup_links": "few, found by their hash before anybody is known",
    "single_sign_on": "one for each tenant at most",
    "single_sign_on_domains": "a domain belongs to one tenant of the installation",
    "linked_identities": "one for each person at most",
    "authenticators": "one for each person at most",
    "components": "shared ones are seen by every tenant, whoever owns them",
    "component_versions": "as components",
    "component_env": "one row for each component",
    "component_whitelists": "which contracts see which shared components",
    "oauth_clients": "one for each component and tenant, joined with shared components",
    "auth_clients": "global ones have grants of every tenant below them",
    "auth_client_components": "as auth clients and components",
    "deleted_clients": "as auth clients; those of the last days",
    "data_keys": "one for each tenant, kept in memory by every process",
    "connect_themes": "one for each tenant at most; logos are found by their digest alone",
    "freezes": "a handful, asked for by every process; what became of grants hangs on them",
    "webhooks": "fifty for each tenant at most",
    "import_batches": "one for each import that an operator makes",
}
LOCAL: Mapping[str, str] = {
    "installation": "one row, which says which key is the right one",
    "audit_keys": "a row for each key that checkpoints were signed with",
    "audit_sent": "a row for each log that is sent on, of how far; written by whoever sends",
    "key_rotations": "a row for each exchange of the installation's key",
    "processes": "a row for each process, written every few seconds; joined with nothing",
    "schema_compatibility": "one row, which says which programs work on the schema",
    "refresh_counts": "numbers of all tenants together, written every few seconds",
    "console_sessions": "short-lived, found by their hash before anybody is known",
    "pending_sign_ins": "as sessions",
    "authentication_requests": "as sessions",
}

_WIDER = "the key becomes (tenant_id, …): a unique index beside it, made without a lock, then exchanged for it"
_FOREIGN = "(tenant_id, …) on both sides, added NOT VALID and validated, before the old one is dropped"
_ROUTED = "(tenant_id, …); what is in the link or state begins with the tenant, so that it is found without asking all"
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    **{
        (name, "primary key"): _WIDER
        for name in DISTRIBUTED
        - {"audit_chains", "audit_checkpoints", "audit_counts", "contained_grants", "import_entries"}
    },
    ("flow_versions", "unique flow_id, number"): _WIDER,
    ("connect_links", "unique link_hash"): _ROUTED,
    ("consents", "unique state_hash"): _ROUTED,
    ("consents", "unique link_hash"): _ROUTED,
    ("deliveries", "to events by event_id"): _FOREIGN,
    ("device_polls", "to consents by id"): _FOREIGN,
    ("flow_credentials", "to flows by flow_id"): _FOREIGN,
    ("flow_references", "to flows by flow_id"): _FOREIGN,
    ("flow_secrets", "to flows by flow_id"): _FOREIGN,
    ("flow_versions", "to flows by flow_id"): _FOREIGN,
    (
        "api_keys",
        "to flows by flow_id",
    ): "dropped: keys of a flow are deleted with it by the use case, as its rows are locked",
}
"""Where the schema does not meet the demands today, and what would be done. None may be added without a reason."""


def faults(tables: Mapping[str, Table]) -> Iterator[tuple[str, str]]:
    """Yield what such an engine would refuse: the table, and what of it."""
    for name, table in tables.items():
        own = name in DISTRIBUTED
        if own and TENANT not in {column.name for column in table.primary_key}:
            yield name, "primary key"
        for columns in _unique(table):
            if own and TENANT not in columns:
                yield name, f"unique {', '.join(columns)}"
        for key in table.foreign_key_constraints:
            columns = [column.name for column in key.columns]
            target = key.referred_table.name
            if target in DISTRIBUTED and not (own and TENANT in columns):
                yield name, f"to {target} by {', '.join(columns)}"


def _unique(table: Table) -> Iterator[list[str]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield [column.name for column in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield [column.name for column in index.columns]


def planned() -> MetaData:
    """Return the schema with what `EXCEPTIONS` says done, its distributed tables parted by tenant."""
    made = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        _planned(table, made)
    return made


def _planned(table: Table, made: MetaData) -> None:
    own = table.name in DISTRIBUTED
    columns = [Column(c.name, c.type, nullable=c.nullable, server_default=c.server_default) for c in table.columns]
    keys = [_with_tenant(own, [column.name for column in table.primary_key])]
    parted: dict[str, Any] = {"postgresql_partition_by": f"HASH ({TENANT})"} if own else {}
    rules: list[Any] = [PrimaryKeyConstraint(*keys[0])]
    rules += [
        UniqueConstraint(*_with_tenant(own, [column.name for column in each.columns]))
        for each in table.constraints
        if isinstance(each, UniqueConstraint)
    ]
    for key in table.foreign_key_constraints:
        here = [column.name for column in key.columns]
        there = [element.column.name for element in key.elements]
        target = key.referred_table.name
        if target in DISTRIBUTED and not own:
            continue
        if target in DISTRIBUTED:
            here, there = [TENANT, *here], [TENANT, *there]
        rules.append(ForeignKeyConstraint(here, [f"{target}.{each}" for each in there], ondelete=key.ondelete))
    new = Table(table.name, made, *columns, *rules, **parted)
    for index in table.indexes:
        names = [column.name for column in index.columns]
        names = _with_tenant(own, names) if index.unique else names
        Index(index.name, *(new.c[name] for name in names), unique=index.unique)


def _with_tenant(own: bool, names: list[str]) -> list[str]:
    return [TENANT, *names] if own and TENANT not in names else names
