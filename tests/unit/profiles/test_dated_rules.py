"""Which dated rules concern a grant: by provider, day and scopes."""

from datetime import UTC, date, datetime, timedelta

import pytest

from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.dated_rules import MOST_RULES, concerning, rules_at_hosts, rules_by_origin, rules_of
from keyrack.oauth.profiles.model import DatedRule, ProviderProfile
from keyrack.oauth.profiles.reading import profile_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PAST = DatedRule(since=date(2026, 1, 1), says="past")
SOON = DatedRule(since=date(2026, 8, 30), says="soon")  # in 90 days
LATER = DatedRule(since=date(2026, 8, 31), says="later")
SCOPED = DatedRule(since=date(2026, 1, 1), says="scoped", scopes=("old", "older"))


@pytest.mark.parametrize(
    ("granted", "scopes", "told"),
    [
        (datetime(2025, 1, 1, tzinfo=UTC), (), ["past", "soon"]),
        (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), ("new", "old"), ["past", "soon", "scoped"]),
        (datetime(2026, 1, 1, tzinfo=UTC), ("old",), ["soon"]),
        (NOW, ("new",), ["soon"]),
    ],
)
def test_a_rule_concerns_grants_made_before_it_with_its_scopes(
    granted: datetime, scopes: tuple[str, ...], told: list[str]
) -> None:
    found = concerning([PAST, SOON, LATER, SCOPED], granted, scopes, NOW)
    assert [rule.says for rule in found] == told


def test_the_catalogues_rules_count_for_its_servers_and_names() -> None:
    dropbox = catalogue()["dropbox"]
    (origin,) = [each for each, profiles in rules_by_origin().items() if "dropbox" in profiles]
    assert list(rules_of(origin, None)) == sorted(dropbox.rules, key=lambda rule: rule.since)
    assert list(rules_of(origin, dropbox)) == list(rules_of(origin, None)), "no rule is told twice"
    assert rules_of("https://elsewhere.example", None) == []
    assert list(rules_of("https://elsewhere.example", dropbox)) == list(dropbox.rules), "a client's own copy counts"
    other = ProviderProfile(name="mine", rules=(PAST,))
    assert list(rules_of(origin, other)) == [PAST], "who calls it otherwise has said all"


def test_hosts_that_are_filled_in_are_told_by_their_values_and_not_by_their_placeholder() -> None:
    at_hosts = rules_at_hosts()
    assert [origin for origin in at_hosts if "://{" in origin and origin.endswith("}")] == []
    assert "https://login.salesforce.com" in at_hosts
    assert "https://{subdomain}.zendesk.com" in at_hosts
    titles = {title for told in at_hosts["https://auth.atlassian.com"].values() for title in told.split(", ")}
    assert titles == {"Confluence Cloud", "Jira Cloud"}, "one rule of two, told once"


def test_profiles_of_others_are_bounded() -> None:
    many = tuple(DatedRule(since=date(2020, 1, 1) + timedelta(days=day), says=str(day)) for day in range(100))
    wide = DatedRule(since=date(2020, 1, 1), says="wide", scopes=tuple(map(str, range(100))))
    assert len(rules_of("", ProviderProfile(name="x", rules=(wide, *many)))) == MOST_RULES
    assert wide not in rules_of("", ProviderProfile(name="x", rules=(wide, *many)))


def test_every_rule_that_comes_along_names_a_page_or_its_profile_does() -> None:
    found = [(profile, rule) for profile in catalogue().values() for rule in profile.rules]
    assert len(found) > 15
    for profile, rule in found:
        page = rule.documentation or profile.documentation
        assert page is not None, profile.name
        assert page.startswith("https://"), profile.name
        profile_of({**EMPTY, "rules": [{"since": rule.since.isoformat(), "says": rule.says, "documentation": page}]})


EMPTY = {"name": "x", "endpoints": {"authorization": "https://a.example/a", "token": "https://a.example/t"}}
