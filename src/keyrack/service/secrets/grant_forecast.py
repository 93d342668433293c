"""Forecasts when and why grants will end, and says what is known and what is a guess. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from keyrack.model.clients import AuthClient
from keyrack.model.grant_reports import Basis, EndReason, GrantEnd, LearnedLifetime, ReportedGrant
from keyrack.oauth.profiles.dated_rules import begins, concerning
from keyrack.service.clients.auth_client_credentials import REGISTRATION_ACCESS_TOKEN, REGISTRATION_CLIENT_URI
from keyrack.service.clients.auth_client_profile import direct_grant, provider_origin
from keyrack.service.clients.provider_rules import rules_of_client
from keyrack.store.grant_reports import GrantLives

_RECONNECT = "Reconnect before then: the owner of the account has to agree at the provider again."
_GOOGLE = frozenset({"https://oauth2.googleapis.com", "https://accounts.google.com", "https://www.googleapis.com"})
_SEVEN_DAYS = timedelta(days=7)
_NEAR = timedelta(hours=12)
_SPREAD = 0.05
_LEAST_DEATHS, _LEAST_SHARE = 3, 0.6
_LEAST_DEATHS_AT_SEVEN_DAYS = 2
_SHORTEST = timedelta(days=1)
"""What dies sooner dies of something else: somebody who tries out, and takes the access back."""


def learned(deaths: Sequence[timedelta], oldest: timedelta | None, *, google: bool) -> LearnedLifetime | None:
    """Return the age at which grants die, if most of those that died did so at about the same.

    Args:
        deaths: ages at which grants were refused for good.
        oldest: the age of the oldest grant that works; if it is past the age of death, there is no such age.
        google: the provider is Google, whose seven days of apps that are being tested fewer deaths are enough for.
    """
    ages = [age for age in deaths if age >= _SHORTEST]
    if not ages:
        return None
    usual = sorted(ages)[len(ages) // 2]
    near = max(usual * _SPREAD, _NEAR)
    at_that_age = [age for age in ages if abs(age - usual) <= near]
    seven = google and abs(usual - _SEVEN_DAYS) <= _NEAR
    least = _LEAST_DEATHS_AT_SEVEN_DAYS if seven else _LEAST_DEATHS
    if len(at_that_age) < least or len(at_that_age) < _LEAST_SHARE * len(ages):
        return None
    if oldest is not None and oldest > usual + near:
        return None
    return LearnedLifetime(_SEVEN_DAYS if seven else usual, len(at_that_age))


def learned_of_clients(clients: Mapping[str, AuthClient], lives: GrantLives) -> Mapping[str, LearnedLifetime]:
    """Return what was learned of clients, by id: of their own grants, else of all grants at the same provider."""
    by_origin: dict[str, list[str]] = {}
    for client_id, client in clients.items():
        by_origin.setdefault(provider_origin(client), []).append(client_id)
    found: dict[str, LearnedLifetime] = {}
    for origin, ids in by_origin.items():
        together = _learned_together(ids, lives, origin)
        for client_id in ids:
            own = _learned_together([client_id], lives, origin)
            # a client's own grants say more of it, also that the others' are no example
            at_client = own if own is not None or _lives_longer(client_id, lives, together) else together
            if at_client is not None:
                found[client_id] = at_client
    return found


def _learned_together(ids: Iterable[str], lives: GrantLives, origin: str) -> LearnedLifetime | None:
    wanted = list(ids)
    deaths = [age for client_id in wanted for age in lives.died_at.get(client_id, ())]
    oldest = max((lives.oldest[client_id] for client_id in wanted if client_id in lives.oldest), default=None)
    return learned(deaths, oldest, google=origin in _GOOGLE)


def _lives_longer(client_id: str, lives: GrantLives, together: LearnedLifetime | None) -> bool:
    oldest = lives.oldest.get(client_id)
    return together is not None and oldest is not None and oldest > together.lifetime + _NEAR


def ends_of_client(client: AuthClient, until: datetime, lifetime: LearnedLifetime | None, now: datetime) -> bool:
    """Tell whether all grants of a client have to be looked at one by one, whatever is stored with them."""
    secret_ends = client.expiry.at is not None and client.expiry.at <= until
    return secret_ends or lifetime is not None or any(now < begins(rule) <= until for rule in rules_of_client(client))


def forecast(
    grant: ReportedGrant, client: AuthClient, until: datetime, lifetime: LearnedLifetime | None, now: datetime
) -> Sequence[GrantEnd]:
    """Return why and when a working grant will end, the earliest first.

    Args:
        grant: the grant.
        client: its auth client.
        until: what comes later is left out.
        lifetime: what was learned of grants of the client.
        now: the time.
    """
    found = [*_stored_ends(grant), *_ends_with_client(client, now), *_ends_by_rules(grant, client, now)]
    if not _is_renewed_without_a_person(client):
        found += _guessed(grant, client, lifetime, now)
    return sorted((end for end in found if end.at <= until), key=lambda end: (end.at, end.reason))


def _is_renewed_without_a_person(client: AuthClient) -> bool:
    return direct_grant(client) is not None


def _stored_ends(grant: ReportedGrant) -> Iterable[GrantEnd]:
    if grant.grant_expires_at is not None and not grant.refreshable:
        yield GrantEnd(
            EndReason.token_not_renewable,
            grant.grant_expires_at,
            Basis.known,
            "Its access token ends then, and there is nothing to renew it with.",
            f"{_RECONNECT} If the provider can give a refresh token, let the client ask for one, as by the scope"
            " offline_access.",
        )
    elif grant.grant_expires_at is not None:
        yield GrantEnd(
            EndReason.grant_lifetime,
            grant.grant_expires_at,
            Basis.known,
            "The provider, or its profile, says that a new consent is needed then, however often it was refreshed.",
            _RECONNECT,
        )
    unused = grant.refresh_token_expires_at
    if grant.refreshable and grant.failing and unused is not None and unused != grant.grant_expires_at:
        yield GrantEnd(
            EndReason.refresh_token_unused,
            unused,
            Basis.known,
            "Its refresh token ends then unless a refresh succeeds before, and the last one failed.",
            "Find out why refreshes fail: keyrack doctor client says it of the auth client.",
        )


def _ends_with_client(client: AuthClient, now: datetime) -> Iterable[GrantEnd]:
    if client.expiry.at is not None and not (_is_renewed_here(client) and now < client.expiry.at):
        yield GrantEnd(
            EndReason.client_secret,
            client.expiry.at,
            Basis.known,
            "The secret of its auth client ends then; no refresh succeeds with one that has ended.",
            "Make a new secret at the provider and set it with the auth client.",
        )


def _is_renewed_here(client: AuthClient) -> bool:
    """Tell whether the client was registered by Keyrack, which gets it another secret in time (RFC 7592)."""
    return all(client.credentials.get(name) for name in (REGISTRATION_CLIENT_URI, REGISTRATION_ACCESS_TOKEN))


def _ends_by_rules(grant: ReportedGrant, client: AuthClient, now: datetime) -> Iterable[GrantEnd]:
    for rule in concerning(rules_of_client(client), grant.granted_at, grant.requested_scopes, now):
        if begins(rule) > now:
            yield GrantEnd(
                EndReason.provider_rule,
                begins(rule),
                Basis.known,
                rule.says,
                "Read what the provider says, and reconnect if the connection is one that it means.",
                rule.documentation,
            )


def _guessed(
    grant: ReportedGrant, client: AuthClient, lifetime: LearnedLifetime | None, now: datetime
) -> Iterable[GrantEnd]:
    if lifetime is None or not grant.refreshable:
        return
    at = grant.granted_at + lifetime.lifetime
    if at <= now:
        return
    if provider_origin(client) in _GOOGLE and lifetime.lifetime == _SEVEN_DAYS:
        yield GrantEnd(
            EndReason.google_testing,
            at,
            Basis.guess,
            f"{lifetime.deaths} grants of this kind ended seven days after the consent, as those of apps do that are"
            " being tested at Google.",
            "Set the app's publishing status to In production in the Google Cloud console, then reconnect.",
            "https://developers.google.com/identity/protocols/oauth2#expiration",
        )
        return
    days = lifetime.lifetime / timedelta(days=1)
    yield GrantEnd(
        EndReason.learned_lifetime,
        at,
        Basis.guess,
        f"{lifetime.deaths} grants of this kind ended about {days:.3g} days after the consent, and none lives longer.",
        _RECONNECT,
    )
