"""Finds the dated rules of providers that concern a grant: what changed, or will change, since it was made."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from urllib.parse import urlsplit

from keyrack.oauth.profiles.addresses import has_fixed_end
from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.model import DatedRule, ProviderProfile
from keyrack.oauth.profiles.templates import alternatives, placeholders

SOON = timedelta(days=90)
"""How long before it comes into force a rule is told."""
MOST_RULES, MOST_SCOPES = 30, 30
"""Of one profile, and of one of its rules: profiles may be anybody's, and each rule is looked for among connections."""


def begins(rule: DatedRule) -> datetime:
    """Return when a rule comes into force: at the beginning of its day, as nobody says at what hour."""
    return datetime.combine(rule.since, time.min, UTC)


def is_told(rule: DatedRule, now: datetime) -> bool:
    """Tell whether a rule is in force, or will be soon."""
    return begins(rule) <= now + SOON


def rules_of(origin: str, profile: ProviderProfile | None) -> Sequence[DatedRule]:
    """Return the rules that hold at a provider, the earliest first.

    A client's own profile is a copy from when the client was made; what came to be known since stands in the
    catalogue. So both count: the catalogue's of the same name, if it is about the same server, else, for a client
    without a profile, all that are about its server.

    Args:
        origin: scheme, host and port that refresh requests go to; with placeholders as they are stored.
        profile: the client's own.
    """
    known = rules_by_origin().get(origin, {})
    if profile is None:
        found: Iterable[DatedRule] = (rule for rules in known.values() for rule in rules)
    else:
        found = (*profile.rules, *known.get(profile.name, ()))
    bounded = [rule for rule in dict.fromkeys(found) if len(rule.scopes) <= MOST_SCOPES][:MOST_RULES]
    return sorted(bounded, key=lambda rule: (rule.since, rule.says))


def concerns(rule: DatedRule, granted_at: datetime, scopes: Collection[str]) -> bool:
    """Tell whether a rule concerns a grant: one that was made before it, and asked for one of its scopes if it has any.

    Args:
        rule: the rule.
        granted_at: when a person allowed access.
        scopes: what was asked for.
    """
    return granted_at < begins(rule) and (not rule.scopes or not set(rule.scopes).isdisjoint(scopes))


def concerning(
    rules: Iterable[DatedRule], granted_at: datetime, scopes: Collection[str], now: datetime
) -> Sequence[DatedRule]:
    """Return those of some rules that are told now and concern a grant."""
    return [rule for rule in rules if is_told(rule, now) and concerns(rule, granted_at, scopes)]


@cache
def rules_by_origin() -> Mapping[str, Mapping[str, Sequence[DatedRule]]]:
    """Return the rules of the catalogue by the origins that refresh requests go to, and by profile.

    Of a host that is chosen among some, or has a usual value, there is an origin for each besides its placeholder.
    """
    found: dict[str, dict[str, Sequence[DatedRule]]] = {}
    for profile in catalogue().values():
        for origin in _origins(profile) if profile.rules else ():
            found.setdefault(origin, {})[profile.name] = profile.rules
    return found


@cache
def rules_at_hosts() -> Mapping[str, Mapping[DatedRule, str]]:
    """Return the catalogue's rules by origin, each with whose they are, for whoever knows no more than the origin.

    Those of a host that is all filled in are left out: other profiles have the same placeholder.
    """
    found: dict[str, dict[DatedRule, str]] = {}
    for origin, profiles in rules_by_origin().items():
        if urlsplit(origin).netloc.startswith("{") and not has_fixed_end(origin.partition("}")[2]):
            continue
        told = found.setdefault(origin, {})
        for name, rules in profiles.items():
            title = catalogue()[name].title
            told.update({rule: f"{told[rule]}, {title}" if rule in told else title for rule in rules})
    return found


def _origins(profile: ProviderProfile) -> Iterator[str]:
    for template in (profile.endpoints.refresh, profile.endpoints.token):
        for address in alternatives(template or ()):
            parts = urlsplit(address)
            if parts.netloc:
                origin = f"{parts.scheme}://{parts.netloc}"
                yield origin.lower()
                yield from (made.lower() for made in _filled(origin, profile))


def _filled(origin: str, profile: ProviderProfile) -> Iterator[str]:
    """Yield an origin with each of the values that its one placeholder can, or usually does, have."""
    names = list(placeholders(origin))
    said = profile.inputs.get(names[0]) if len(names) == 1 else None
    for value in () if said is None else said.enum or filter(None, (said.default,)):
        yield origin.replace(f"{{{names[0]}}}", value)
