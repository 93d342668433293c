"""Tells which dated rules of providers concern a client's connections, and how many."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.profiles.dated_rules import begins, concerning, is_told, rules_at_hosts, rules_of
from keyrack.oauth.profiles.model import DatedRule
from keyrack.service.clients.auth_client_profile import provider_of, provider_origin
from keyrack.store.concerned_grants import MOST, ConcernedGrants
from keyrack.store.core.unit import Unit

COUNTED_TO = MOST
"""How far connections are counted."""


@dataclass(frozen=True, slots=True)
class ConcernedConnections:
    """A rule, and how many connections it concerns.

    Attributes:
        rule: the rule.
        connections: how many were made before it, up to `COUNTED_TO`.
        provider: whose rule it is, as the catalogue calls it; empty where a client is looked at alone.
    """

    rule: DatedRule
    connections: int
    provider: str = ""


def rules_of_client(client: AuthClient) -> Sequence[DatedRule]:
    """Return the rules of a client's provider, the earliest first."""
    return rules_of(provider_origin(client), provider_of(client)) if is_oauth2(client.type) else ()


def rules_of_connection(secret: AuthSecret, client: AuthClient | None, now: datetime) -> Sequence[DatedRule]:
    """Return the rules that concern a connection: in force since it was made, or within 90 days."""
    if client is None:
        return ()
    granted_at = secret.connected_at or secret.created_at
    return concerning(rules_of_client(client), granted_at, secret.requested_scopes, now)


async def concerned_connections(unit: Unit, client: AuthClient) -> Sequence[ConcernedConnections]:
    """Return the rules that concern connections of a client in the unit's tenant, with how many."""
    now, grants = unit.clock(), ConcernedGrants(unit)
    found = [
        ConcernedConnections(rule, await grants.of_client(client.id, begins(rule), rule.scopes))
        for rule in rules_of_client(client)
        if is_told(rule, now)
    ]
    return [each for each in found if each.connections]


async def concerned_in_tenant(unit: Unit) -> Sequence[ConcernedConnections]:
    """Return the catalogue's rules that concern connections of the unit's tenant, those that come first in front.

    Of providers that no client of the tenant is at, nothing is counted.
    """
    now, grants, at_hosts = unit.clock(), ConcernedGrants(unit), rules_at_hosts()
    found = [
        ConcernedConnections(rule, await grants.at_origin(origin, begins(rule), rule.scopes), provider)
        for origin in await grants.origins_among(list(at_hosts))
        for rule, provider in at_hosts[origin].items()
        if is_told(rule, now)
    ]
    return latest_first(found)


def latest_first(found: Iterable[ConcernedConnections]) -> Sequence[ConcernedConnections]:
    """Return rules with the connections they concern at all hosts, without those that concern none."""
    summed: dict[DatedRule, ConcernedConnections] = {}
    for each in found:
        before = summed.get(each.rule)
        number = each.connections + (0 if before is None else before.connections)
        summed[each.rule] = replace(each, connections=min(number, COUNTED_TO))
    concerned = [each for each in summed.values() if each.connections]
    return sorted(concerned, key=lambda each: each.rule.since, reverse=True)
