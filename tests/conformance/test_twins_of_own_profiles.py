"""Every profile that comes along holds against its twin: consent, token, refresh, refusal and revocation."""

from keyrack.oauth.profiles.catalogue import catalogue
from support.twins import differing, play_all, refused

STEPS = {"consent", "token", "refresh", "introspection", "error", "revoke"}
REFUSED = {"bigcommerce"}
"""What these ask for is not done; a name may only go from here."""


def test_every_profile_that_comes_along_holds_against_its_twin() -> None:
    reports = play_all(catalogue().values())
    assert [each.name for each in reports] == sorted(catalogue())
    assert differing(reports) == {}
    assert refused(reports).keys() <= REFUSED
    played = [each for each in reports if each.name not in REFUSED]
    assert [each.name for each in played if {step.name for step in each.steps} != {"profile", *STEPS}] == []
