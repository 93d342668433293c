"""`GET /v2/providers`: pages, search, and documents that an auth client takes as its profile (decision 38)."""

from typing import Any

from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.kinds import LEGACY_GRANTS
from keyrack.oauth.profiles.reading import profile_of
from support.app import World, error_of
from support.auth_clients import auth_client


async def test_every_document_is_the_whole_profile(keyrack: World) -> None:
    guest = keyrack.tenants["Acme"].guest
    found: dict[str, Any] = {}
    number = 1
    while page := (await guest.get(f"/v2/providers?page[number]={number}&page[size]=50")).json()["data"]:
        found |= {each["id"]: each for each in page}
        number += 1
    assert list(found) == list(catalogue())
    for name, profile in catalogue().items():
        assert profile_of(found[name]["attributes"]) == profile
        assert found[name]["meta"] == {"legacy": profile.grant in LEGACY_GRANTS}
        assert found[name]["links"]["self"].endswith(f"/v2/providers/{name}")
    one = (await guest.get("/v2/providers/slack")).json()["data"]
    assert one == found["slack"]
    searched = (await guest.get("/v2/providers?filter[search]=SLACK")).json()
    assert "slack" in [each["id"] for each in searched["data"]]
    assert len(searched["data"]) < len(found)
    assert error_of(await guest.get("/v2/providers/nobody"))[:2] == (404, "not_found")


async def test_a_document_can_be_given_as_the_profile_of_a_client(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    document = (await acme.guest.get("/v2/providers/slack")).json()["data"]["attributes"]
    component = await keyrack.add_component(acme, "own", {"title": "Own", "authClientTypes": ["oauth2"]})
    credentials = {"client_id": "c", "client_secret": "s", "provider_profile": {**document, "name": "our-slack"}}
    made = await acme.admin.post("/v2/auth-clients", auth_client([component], ("tenant", acme.id), credentials))
    assert made.status_code == 201, made.text
