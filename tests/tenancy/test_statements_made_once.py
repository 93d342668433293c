"""Every statement of the store that is made once says whose rows it is about, or is listed here with the reason.

`TenantQuery` and `TenantChange` add the tenant's condition themselves. What is neither stands in one of the lists.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import pytest
from sqlalchemy import BindParameter, Select, bindparam, select, update
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import COLLECT_CARTESIAN_PRODUCTS

from keyrack.store.auth_client_list import OwnOrGlobal
from keyrack.store.components import SeenQuery
from keyrack.store.core.paging import PagedQuery
from keyrack.store.core.statements import POSTGRESQL, Change, Query, Statement
from keyrack.store.core.unit import TENANT, TenantChange, TenantQuery
from keyrack.store.grant_reports import _OfSample
from keyrack.store.schema import flows, users
from keyrack.store.secret_list import _NARROWING as NARROWING
from keyrack.store.secret_list import _paged
from support.app import World
from support.tenancy.store_methods import modules

DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy leaves its dialects untyped

BINDS_THE_TENANT: dict[str, str] = {
    "key_rotations._REMOVAL": "as above",
    "key_rotations._LOCKED": "as above",
    "key_rotations._OPEN_ATTEMPTS": "of the tenant whose keys are exchanged",
    "keyring._TENANT": "as above",
    "keyring._ALL": "keys of the owner that is given",
    "deliveries._COUNT": "counts a part that has the condition",
    "deliveries._REPLAY_ONE": "inserts what it finds among the tenant's events",
    "deliveries._REPLAY_SINCE": "as above",
    "directory._HAS_WITHIN": "whether an id is taken, in the tenant that is given or above all",
    "flows._KEYS_OF_CONTRACT": "API keys have no tenant; those of the tenant's flows go",
    "flows._KEYS_OF_FLOW": "as above",
    "place_contents._COUNTS": "counts in several tables, each with the condition, or in workspaces that have it",
    "quota_usage._BYTES": "adds up many tables, each with the condition",
    "audit_counts._ADDITION": "what is counted says whose log it belongs into",
    "audit_counts._OF_TENANT": "of the log that is given",
    "keyring._ADDITION": "a key of the owner that is given",
    "keyring._REMOVAL": "as above",
    "leases._INTENT": "inserts what belongs to the tenant's secret that is leased",
    "role_assignments._EVERYWHERE": "three tables, each with the condition",
    "search_words._ADDING": "words of a row of the tenant's",
    "search_words._FORGETTING": "as above",
    "search_words._ROWS": "the row whose words change, with the condition",
    "search_words._STORED": "words of a row of the tenant's",
    "tenants._HELD": "the tenant's own row, whose id it is",
    "tenants._HELD_ALONE": "as above",
}
"""Statements that have the tenant as a parameter, in another way than the tenant of the rows of one table."""

ACROSS: dict[str, str] = {
    "installation._KEEPING": "the installation's own row",
    "installation._STORED_FORM_KEY": "the installation's own row",
    "key_rotations._AGES": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._BEGINNING": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._COUNT": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._END": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._HELD": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._INSTALLATION": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._OPEN": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._OWNERS": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._REWRAPPING": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._SINCE": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._SUPERSEDED": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._UNDER_OTHERS": "the operator's exchange of keys, which is about all owners alike",
    "key_rotations._UNDER_OTHERS_COUNT": "the operator's exchange of keys, which is about all owners alike",
    "server_facts._POSTGRESQL": "what the database server says of itself, for the operator",
    "server_facts._SQLITE": "what the database server says of itself, for the operator",
    "accounts._ACCOUNT": "service accounts belong to no tenant",
    "accounts._BY_ID": "service accounts belong to no tenant",
    "accounts._CHANGE": "as above",
    "accounts._DELETION": "as above",
    "accounts._HELD": "as above",
    "accounts._ADDITION": "an API key of the owner that is given",
    "accounts._PASSWORD": "service accounts belong to no tenant",
    "accounts._PASSWORD_CHANGE": "as above",
    "accounts._ONE_KEY": "an API key of the owner that is given",
    "accounts._REMOVAL": "an API key of the owner that is given",
    "accounts._TAKING_INTO_USE": "the account whose key was just added",
    "accounts._USER": "for the command line: ids of who has a name",
    "attempts._ALL_OPEN": "work of all tenants for the worker, handed out by tenant",
    "audit_chain._ALL_WAITING": "a number, for the metrics",
    "audit_chain._CHAINS": "ids of tenants, for the worker and the operator",
    "audit_chain._FIRST_CHAINS": "as above",
    "audit_chain._FIRST_WITH_TAIL": "the id of a tenant for which there is work",
    "audit_chain._NEXT_WITH_TAIL": "as above",
    "audit_counts._OVER": "work of all tenants for the worker; each goes into its own log",
    "audit_counts._REMOVAL": "what was read before",
    "audit_keys._ALL": "the installation's own keys",
    "audit_keys._IN_USE": "as above",
    "audit_keys._RETIREMENT": "as above",
    "audit_sent._BEHIND": "ids of tenants for whom there is work",
    "audit_across_tenants._NEWEST": "for the operator, who may read tenants' audit logs",
    "audit_across_tenants._OLDER": "as above",
    "auth_client_health._PAUSE": "secrets of a global client may be in any tenant; the client decides",
    "auth_client_health._REVIVAL": "as above",
    "data_key_list._OLDEST": "times, for the metrics",
    "data_key_list._PAGE": "for the operator: whose a data key is, without the key",
    "data_key_list._VERSIONS": "numbers, for the operator",
    "directory._AUTH_CLIENT": "ids of the scope an id is in",
    "directory._COMPONENT": "ids of the owner",
    "directory._OAUTH_CLIENT": "the id of its tenant, to the operator at the machine",
    "directory._CONSENT_BY_LINK": "ids of where the consent is, to who holds the link",
    "directory._AUTHENTICATION_REQUEST": "id of the tenant, to who holds the state",
    "directory._CONSENT_BY_STATE": "ids of where the consent is, to who holds the state",
    "directory._CONTRACT": "ids of the owner",
    "directory._FLOWS_USING_COMPONENT": "numbers of flows, which block a deletion wherever they are (13.2)",
    "directory._FLOWS_USING_CONTRACT": "as above",
    "directory._FLOWS_USING_REVISION": "as above",
    "directory._HAS": "whether an id is taken",
    "identities._IDENTITY_BY_KEY": "who an API key belongs to, to who has the key",
    "directory._INSTALLATION": "whether there is an installation",
    "directory._IN_WORKSPACE": "ids of where an id is",
    "directory._PLACES": "as above",
    "directory._SECRETS_ATTACHED": "a number: secrets of a global auth client may be in any tenant",
    "directory._CONNECT_LOGO": "id of the tenant whose logo has an address",
    "directory._CONNECT_LINK": "ids of the workspace, to who holds the link",
    "identities._PENDING_SIGN_IN": "who was right about a password, to who has the cookie",
    "identities._SIGN_IN_OF_ACCOUNT": "who has a name, to the check of the password alone",
    "identities._SESSION": "who is signed in, to who has the session's cookie",
    "directory._SETUP_LINK": "id of the tenant, to who holds the link",
    "identities._SIGN_IN": "who has an email, to the check of the password alone",
    "identities._TENANT_OF_DOMAIN": "id of the tenant that leads people of a domain to its provider",
    "directory._TEAM": "ids of the owner",
    "directory._TENANT": "whether there is one",
    "directory._TENANTS_WITH_SECRETS": "ids, for telling each of its own secrets",
    "directory._USER": "id of the tenant",
    "directory._USER_NAME": "the name of who started a consent, for the tenant's own log",
    "directory._WORKSPACE": "ids of the owner",
    "device_polls._CLAIMING": "what was found due, of all tenants, for the worker",
    "contained_grants._COUNTS": "numbers, for the operator",
    "contained_grants._FIRST_GENERATION": "numbers, for the operator",
    "contained_grants._LEFT": "ids of grants of any tenant, for the operator",
    "contained_grants._OF_FREEZE": "what became of grants of any tenant, for the operator; nothing is opened",
    "freezes._ACTIVE": "what the operator has frozen",
    "freezes._ALL": "for the operator",
    "freezes._BY_ID": "for the operator",
    "freezes._COMPONENTS": "ids of what is frozen",
    "freezes._HOLDING": "for the operator",
    "freezes._LIFTING": "by the operator",
    "freezes._OF_PROVIDERS": "ids of what is frozen",
    "deleted_clients._ENDED": "ids of what is over, of all tenants, for the worker",
    "deleted_clients._EVERYWHERE": "what can be restored, of all tenants, for the operator",
    "due_rotations._CLAIM": "what was found due, of all tenants, for the worker",
    "due_rotations._DUE": "ids of what is due, of all tenants, for the worker",
    "due_rotations._SAMPLE": "ids: connections of a global auth client may be in any tenant",
    "due_deliveries._CLAIMING": "what was found due, of all tenants, for the worker",
    "expiring_clients._ENDING": "numbers, for the metrics",
    "expiring_clients._SOON": "ids of clients for which there is work, with their tenants",
    "expiring_clients._WHOSE": "ids of tenants for whom there is work",
    "awaiting_cutover._COUNTS": "numbers by import, for the operator",
    "import_batches._ALL": "which imports there are, and whose, for the operator",
    "import_batches._ONE": "an import that the operator names, with its tenant",
    "installation._CHECK": "the installation's own row",
    "installation_grants._COUNTS": "numbers, for the operator",
    "last_use._KEYS": "hashes of keys that are named",
    "last_use._KEY_USED": "times of keys that are named",
    "last_use._SECRETS": "ids of secrets that are named, with their tenants",
    "last_use._SECRET_USED": "times of secrets that are named with their tenants",
    "last_use._UNLOCKED_KEYS": "hashes of keys that are named",
    "last_use._UNLOCKED_SECRETS": "ids of secrets that are named, with their tenants",
    "leases._CLAIMING": "work of all tenants for the worker: ids",
    "leases._HOLDERS": "names of processes",
    "lease_clock._SHOWN": "the database's time",
    "mails._CLAIMING": "what was found due, of all tenants, for the worker",
    "processes._FORGETTING": "processes belong to no tenant",
    "processes._HEARD_OF": "as above",
    "processes._LEAVING": "as above",
    "processes._SAYING": "as above",
    "queue_stats._DUE": "numbers, for the metrics",
    "queue_stats._OPEN": "numbers, for the metrics",
    "refresh_counts._ADDITION": "numbers of all tenants together",
    "refresh_counts._BY_ORIGIN": "as above",
    "refresh_counts._BY_TIME": "as above",
    "refresh_counts._OF_ORIGIN": "as above",
    "refresh_queue._DUE_LEASES": "for the operator, who may see tenants' grants; nothing is opened",
    "refresh_queue._NEXT_PAGE": "as above",
    "refresh_queue._PAGE": "as above",
    "refresh_queue._REQUESTS": "as above",
    "refresh_queue._REQUEST_LEASES": "as above",
    "refresh_queue._SOON": "a number, for the operator",
    "retention._ATTEMPTS": "deletes what is old, whosever it is",
    "retention._CONNECT_LINKS": "as above",
    "retention._CONSENTS": "as above",
    "retention._CONSOLE_SESSIONS": "as above",
    "retention._PENDING_SIGN_INS": "as above",
    "retention._AUTHENTICATION_REQUESTS": "as above",
    "retention._DELIVERIES": "as above",
    "retention._EVENTS": "as above",
    "retention._MAILS": "as above",
    "retention._REVOCATIONS": "as above",
    "retention._SETUP_LINKS": "as above",
    "retention._REFRESHES_BY_HOURS": "as above",
    "retention._REFRESHES_BY_MINUTES": "as above",
    "revocations._CLAIMING": "what was found due, of all tenants, for the worker",
    "standings._AT": "ids of where an id is; roles of the caller, if it is of that tenant",
    "store._EMPTYING": "takes back what the next one wrote",
    "store._FILLING": "random bytes under nobody's name, to see whether the disk has room",
    "tenant_list._ALL": "for the operator, who may see tenants",
    "tenant_list._FOUND": "a number, for the operator",
    "tenant_list._GRANTS": "numbers, for the operator",
    "tenant_list._NAMED": "ids, for the operator, who may see tenants",
    "tenant_list._NUMBER": "a number, for the operator",
    "tenant_list._SEARCH": "for the operator, who may see tenants",
    "tenants._BY_ID": "a tenant-bound unit asks for no other's: `TenantRows`",
    "tenants._CHANGE": "as above",
    "tenants._REMOVAL": "as above",
    "tenants._WITH_DOMAIN": "whether a domain is taken, which must be told",
    "restored_grants._NEWEST": "when something happened last in any tenant, for the operator after a restore",
    "store._SAYING": "reads nothing",
    "wakeups._NOTIFY": "reads nothing",
    "search_index._OF_EVERYBODY": "ids of what all tenants share",
    "search_index._OF_ID": "what an id is of, and where; the service shows it to whoever may see it",
}
"""Statements without a tenant, and what keeps tenants apart all the same."""

OTHER_CONDITIONS: dict[type[TenantQuery], str] = {
    _OfSample: "the sample's own rows, each with the condition, stand inside",
    OwnOrGlobal: "the tenant's auth clients and global ones, which all tenants can use (contract section 14)",
    SeenQuery: "the components that the tenant sees (contract section 5): its own and global ones",
}
"""Kinds of `TenantQuery` with another condition than that the rows are the tenant's."""


def found_in(thing: Any) -> Iterator[Statement]:
    """Yield the statements in a value of a module."""
    if isinstance(thing, Statement):
        yield thing
    elif isinstance(thing, Mapping):
        yield from found_in(list(thing.values()))
    elif isinstance(thing, (list, tuple)):
        for each in thing:
            yield from found_in(each)


def statements() -> list[tuple[str, Statement]]:
    return [
        (f"{module.__name__.rpartition('.')[2]}.{name}", statement)
        for module in modules()
        for name, thing in vars(module).items()
        for statement in found_in(thing)
    ]


def lists() -> list[tuple[str, Statement]]:
    """Return the statements of lists that are made for each way to narrow one."""
    both = itertools.product((True, False), repeat=2)
    paged = [
        _paged(narrowing, with_credentials=credentials, leave_out=leave_out, limit=10)
        for (credentials, leave_out), narrowing in itertools.product(both, [(), *itertools.combinations(NARROWING, 2)])
    ]
    names = [name for name, made in vars(PagedQuery).items() if isinstance(made, cached_property)]
    return [(f"{number}-{name}", getattr(each, name)) for number, each in enumerate(paged) for name in names]


def parts_of(statement: Statement) -> Iterator[Any]:
    return iter(visitors.iterate(statement.expression))  # type: ignore[arg-type] # all that runs can be gone through


def is_bound(statement: Statement) -> bool:
    """Tell whether a statement has the unit's tenant as a parameter."""
    return any(isinstance(part, BindParameter) and part.key == TENANT.key for part in parts_of(statement))


def is_of_tenant(statement: Statement) -> bool:
    """Tell whether the rows of a statement are the tenant's: of the one thing it reads, or the table it changes."""
    expression: Any = statement.expression
    if not isinstance(statement, TenantQuery | TenantChange) or not is_bound(statement):
        return False
    if isinstance(expression, Select):
        linter: Any = expression.compile(dialect=DIALECT, linting=COLLECT_CARTESIAN_PRODUCTS).from_linter
        return bool(linter.lint() == (None, None))  # else the condition is of a table of its own
    return f"{expression.table.name}.tenant_id = " in statement.compiled(POSTGRESQL).text


FOUND = statements()


def test_every_statement_is_bound_to_a_tenant_or_has_a_reason() -> None:
    unbound = {name for name, statement in FOUND if not isinstance(statement, TenantQuery | TenantChange)}
    assert unbound == set(BINDS_THE_TENANT) | set(ACROSS)
    assert len(FOUND) > 150


@pytest.mark.parametrize(("name", "statement"), FOUND, ids=[name for name, _ in FOUND])
def test_a_statement_has_the_tenant_where_it_must(name: str, statement: Statement) -> None:
    if name in BINDS_THE_TENANT:
        assert is_bound(statement)
    elif name in ACROSS:
        assert not is_bound(statement), "it belongs into the other list"
    else:
        assert is_of_tenant(statement)


def test_every_statement_of_a_list_is_the_tenants() -> None:
    found = lists()
    assert len(found) == 4 * (1 + 36) * 5
    assert all(isinstance(statement, TenantQuery) and is_bound(statement) for _, statement in found)
    for name, statement in found:
        if not name.endswith("_later"):  # which looks its keys up in a query of its own
            assert is_of_tenant(statement), name
        text = statement.compiled(POSTGRESQL).text
        assert text.count("auth_secrets.tenant_id = ") == 1 + name.endswith("_later"), name


def test_another_condition_has_a_reason() -> None:
    assert {type(statement) for _, statement in FOUND if isinstance(statement, TenantQuery)} - {TenantQuery} == set(
        OTHER_CONDITIONS
    )


@pytest.mark.parametrize(
    "statement",
    [
        Query(select(users.c.id).where(users.c.id == bindparam("id"))),
        Query(select(users.c.id).where(users.c.tenant_id == TENANT)),
        Change(update(users).where(users.c.id == bindparam("id")).values(company=None)),
        TenantQuery(flows, select(users.c.id).where(users.c.id == bindparam("id"))),
        TenantChange(flows, update(users).where(users.c.id == bindparam("id")).values(company=None)),
    ],
)
def test_a_statement_that_is_not_the_tenants_is_found(statement: Statement) -> None:
    assert not is_of_tenant(statement)


NO_ROWS = {"most": 0, "over": 0}
ONE_DATABASES_OWN = {
    "leases._INTENT",
    "deliveries._REPLAY_ONE",
    "deliveries._REPLAY_SINCE",
    "audit_counts._ADDITION",
    "processes._SAYING",
    "server_facts._POSTGRESQL",
    "server_facts._SQLITE",
    "quota_usage._BYTES",
    "refresh_counts._ADDITION",
    "store._SAYING",
    "wakeups._NOTIFY",
}
"""Statements that are made for one database each, or for one alone; what runs them is tested on both."""


async def test_each_database_understands_every_statement(keyrack_on_each: World) -> None:
    async with keyrack_on_each.store.installation(writes=True) as unit:
        dialect = unit.connection.dialect
        for name, statement in FOUND + lists():
            if name in ONE_DATABASES_OWN:
                continue
            made = statement.compiled(dialect)
            binds = {part.key: part for part in parts_of(statement) if isinstance(part, BindParameter)}
            values: dict[str, Any] = {each: NO_ROWS.get(each) for each in made.parameters if each not in made.constants}
            for each in values:
                if binds[each].expanding:
                    values[each] = [("x", "y")] if each in {"names", "pairs"} else ["x"]
            text, arguments = made.bound(values)
            explained = replace(made, read=tuple, returns_rows=True)
            assert (await unit.connection._run(explained, f"EXPLAIN {text}", arguments, scans=False)).rows
