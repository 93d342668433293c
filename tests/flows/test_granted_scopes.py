"""What was asked for and what was granted are kept apart, and a difference is told (contract 0.23, RFC 6749 5.1, 6)."""

from typing import Any

import pytest

from support.app import World
from support.raw_provider import RawConsents, RawProvider, tokens_answer
from support.secrets import TOKENS, changes, make

GOOGLE_EMAIL = "https://www.googleapis.com/auth/userinfo.email"


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    made = RawConsents(keyrack, raw_provider)
    await made.begin()
    return made


SAID: list[tuple[str, dict[str, Any], str, list[str]]] = [
    # asked for, said in the answer, what the credentials show, what is missing
    ("a b", {}, "a b", []),
    ("a b", {"scope": "b a"}, "b a", []),
    ("a b", {"scope": "a"}, "a", ["b"]),
    ("a b", {"scope": "a,b"}, "a,b", []),  # GitHub, Slack
    ("a b", {"scope": ["b", "a"]}, "b a", []),  # Twitch
    ("a b", {"scope": ["a"]}, "a", ["b"]),
    ("a b", {"scopes": ["a"]}, "a", ["b"]),
    ("a b", {"scopes": "a,x"}, "a,x", ["b"]),
    ("a b", {"granted_scopes": ["a"]}, "a", ["b"]),  # Facebook
    ("a b", {"scope": None, "scopes": ["a", "b"]}, "a b", []),
    ("a b", {"scope": {"odd": 1}}, "a b", []),
    ("a b", {"scope": ""}, "a b", []),
    ("a b", {"scope": []}, "a b", []),
    ("a,b", {"scope": "a b"}, "a b", []),
    ("openid email profile", {"scope": f"openid {GOOGLE_EMAIL} {GOOGLE_EMAIL[:-5]}profile"}, "", []),
    (GOOGLE_EMAIL, {"scope": "email openid"}, "email openid", []),
    ("openid offline_access a", {"scope": "a"}, "a", []),
    ("read_orders write_orders read_all", {"scope": "write_orders"}, "write_orders", ["read_all"]),
    ("User.Read https://graph.microsoft.com/Mail.Read", {"scope": "user.read Mail.Read"}, "", []),
    ("https://graph.microsoft.com/.default", {"scope": "User.Read"}, "User.Read", []),
    ("user user:email read:org repo", {"scope": "user,repo"}, "user,repo", ["read:org"]),
    ("", {"scope": "a"}, "a", []),
]


async def test_scopes_are_read_in_every_form_and_compared_as_sets(desk: RawConsents) -> None:
    for asked, said, shown, missing in SAID:
        secret_id = await desk.connect(tokens_answer(**said), scopes=asked)
        found = await desk.seen(secret_id)
        case = (asked, said)
        requested = asked.replace(",", " ").split()
        assert (found["requested_scopes"], found["missing_scopes"]) == (requested, missing), case
        assert found["credentials"].get("scope") == (shown or said["scope"]), case


async def test_a_difference_is_an_attribute_an_event_and_a_filter(desk: RawConsents) -> None:
    less = await desk.connect(tokens_answer(scope=["read"]), scopes=["read", "write", "admin"])
    await desk.connect(tokens_answer(scope="read write"), scopes=["read", "write"])
    listed = f"/v2/workspaces/{desk.tenant.workspace_id}/secrets"
    found = (await desk.who.get(f"{listed}?filter[scopes]=missing")).json()["data"]
    assert [secret["id"] for secret in found] == [less]
    assert found[0]["attributes"]["missing_scopes"] == ["write", "admin"]
    assert len((await desk.who.get(f"{listed}?filter[scopes]=")).json()["data"]) == 2
    refused = await desk.who.get(f"{listed}?filter[scopes]=granted")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"] == {"parameter": "filter[scopes]"}
    (told,) = await desk.events("secret.scopes_missing")
    assert told["secret_id"] == less
    assert (told["requested_scopes"], told["missing_scopes"]) == (["read", "write", "admin"], ["write", "admin"])
    guest = (await desk.tenant.guest.get(desk.path(less))).json()["data"]["attributes"]
    assert guest["missing_scopes"] == ["write", "admin"]
    assert "credentials" not in guest


async def test_a_refresh_that_says_nothing_keeps_what_was_granted_and_one_that_narrows_is_told_once(
    desk: RawConsents,
) -> None:
    secret_id = await desk.connect(tokens_answer(scope="a b c"), scopes="a b c")
    seen = []
    for said in ({}, {"scope": "a b"}, {}, {"scope": ["b", "a"]}, {"scope": "a"}, {"scope": "c b a"}, {"scope": "a"}):
        found = await desk.refresh(secret_id, tokens_answer(**said))
        seen.append((found["credentials"]["scope"], found["missing_scopes"]))
    assert seen == [
        ("a b c", []),
        ("a b", ["c"]),
        ("a b", ["c"]),
        ("b a", ["c"]),
        ("a", ["b", "c"]),
        ("c b a", []),
        ("a", ["b", "c"]),
    ]
    told = await desk.events("secret.scopes_missing")
    assert [event["missing_scopes"] for event in told] == [["c"], ["b", "c"], ["b", "c"]]


async def test_another_consent_begins_anew(desk: RawConsents) -> None:
    secret_id = await desk.connect(tokens_answer(scope="a"), scopes="a b")
    await desk.consent(tokens_answer(), secret_id=secret_id, scopes="a b c")
    found = await desk.seen(secret_id)
    assert (found["requested_scopes"], found["missing_scopes"]) == (["a", "b", "c"], [])
    assert found["credentials"]["scope"] == "a b c", "granted as asked for (RFC 6749 section 5.1)"
    await desk.consent(tokens_answer(), secret_id=secret_id)
    found = await desk.seen(secret_id)
    assert (found["requested_scopes"], found["missing_scopes"]) == ([], [])
    assert "scope" not in found["credentials"], "of this grant nobody has said any"


async def test_what_was_not_asked_for_through_us_misses_nothing(desk: RawConsents) -> None:
    made = await make(desk.who, desk.tenant.workspace_id, desk.client_id, {**TOKENS, "scope": "a b"})
    found = await desk.refresh(made["id"], tokens_answer(scope="a"))
    assert (found["requested_scopes"], found["missing_scopes"]) == ([], [])
    assert found["credentials"]["scope"] == "a"
    secret_id = await desk.connect(tokens_answer(scope="a"), scopes="a b")
    await desk.who.patch(desk.path(secret_id), changes(credentials={"expires_in": 60}))
    assert (await desk.seen(secret_id))["missing_scopes"] == ["b"], "the grant is the same"
    brought = {"access_token": "at-2", "refresh_token": "rt-2"}
    answer = await desk.who.patch(desk.path(secret_id), changes(credentials=brought))
    found = answer.json()["data"]["attributes"]
    assert (found["requested_scopes"], found["missing_scopes"]) == ([], []), "this one was brought from elsewhere"
