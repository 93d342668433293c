"""Every profile that comes along holds against its twin: consent, token, refresh, refusal and revocation."""

from keyrack.oauth.profiles.catalogue import catalogue
from support.twins import differing, play_all, refused

STEPS = {"consent", "token", "refresh", "introspection", "error", "revoke"}


def test_every_profile_that_comes_along_holds_against_its_twin() -> None:
    reports = play_all(catalogue().values())
    assert [each.name for each in reports] == sorted(catalogue())
    assert differing(reports) == {}
    assert refused(reports) == {}
    assert [each.name for each in reports if {step.name for step in each.steps} != {"profile", *STEPS}] == []
