"""When the secret of a client ends: the member `secret_expires_at` and the filter on it (extension, decision 27)."""

from dataclasses import dataclass
from typing import Any

import pytest

from support.app import Caller, World, error_of, relationship
from support.auth_clients import OAUTH2, SECOND_GENERATION, auth_client, change

DATE, SAME, LATER = "2031-05-06T07:08:09.123Z", "2031-05-06T09:08:09.123456+02:00", "2032-01-01T00:00:00.000Z"
MEMBER = "/data/attributes/secret_expires_at"
PIZZA = {"title": "Pizza Van", "useOAuthClient": True, "credentials": {"oauth2": {}}}
GENERATIONS = ["oauth-client", "auth-client"]


@dataclass
class Desk:
    """Globex' admin, who makes and changes one kind of client."""

    who: Caller
    kind: str
    path: str
    component: str
    place: tuple[str, str]

    def body(self, secret: str = "shh", **attributes: Any) -> dict[str, Any]:
        if self.kind == "auth-client":
            made = auth_client([self.component], self.place, OAUTH2 | {"client_secret": secret})
            made["data"]["attributes"] |= attributes
            return made
        pair = {"client_id": "id", "client_secret": secret}
        component = {"component": relationship("component", self.component)}
        return {"data": {"type": self.kind, "attributes": pair | attributes, "relationships": component}}

    def changed(self, secret: str = "shh", **attributes: Any) -> dict[str, Any]:
        if self.kind == "auth-client":
            return change({"credentials": {"client_secret": secret}} | attributes)
        return self.body(secret, **attributes)

    async def make(self, **attributes: Any) -> dict[str, Any]:
        answer = await self.who.post(self.path, self.body(**attributes))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()["data"]
        return made

    async def change(self, client: dict[str, Any], body: dict[str, Any]) -> str | None:
        """Change a client; return when its secret ends then, as every route shows it."""
        answer = await self.who.patch(f"{self.path}/{client['id']}", body)
        assert answer.status_code == 200, answer.text
        return await self.shown(client, answer.json()["data"])

    async def shown(self, client: dict[str, Any], answered: dict[str, Any]) -> str | None:
        read = (await self.who.get(f"{self.path}/{client['id']}")).json()["data"]
        (listed,) = [each for each in await self.list() if each["id"] == client["id"]]
        assert answered == read == listed
        assert read["attributes"].get("secret_expires_at", "") is not None, "it is left out, not null"
        date: str | None = read["attributes"].get("secret_expires_at")
        return date

    async def list(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.who.get(f"{self.path}{query}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found


async def desk_of(keyrack: World, kind: str, name: str = "van") -> Desk:
    globex = keyrack.tenants["Globex"]
    descriptor = PIZZA if kind == "oauth-client" else SECOND_GENERATION
    component = await keyrack.add_component(globex, name, descriptor)
    path = f"/v2/tenants/{globex.id}/{kind}s"
    return Desk(globex.admin, kind, path, component, ("tenant", globex.id))


@pytest.fixture(params=GENERATIONS)
async def desk(keyrack: World, request: pytest.FixtureRequest) -> Desk:
    return await desk_of(keyrack, request.param)


async def test_a_client_has_the_member_only_when_it_is_set(desk: Desk) -> None:
    client = await desk.make()
    assert await desk.shown(client, client) is None
    assert await desk.change(client, desk.changed(secret_expires_at=SAME)) == DATE, "in UTC, milliseconds"
    assert await desk.change(client, desk.changed(secret_expires_at=LATER)) == LATER
    assert await desk.change(client, desk.changed(secret_expires_at=None)) is None
    assert await desk.change(client, desk.changed(secret_expires_at=None)) is None


async def test_it_can_be_set_at_once_and_stays_with_its_secret(desk: Desk) -> None:
    client = await desk.make(secret_expires_at=DATE)
    assert await desk.shown(client, client) == DATE
    assert await desk.change(client, desk.changed()) == DATE, "the same secret"
    if desk.kind == "auth-client":
        assert await desk.change(client, change({"name": "Another"})) == DATE
        assert await desk.change(client, change({"credentials": {"token_expires_in": 60}})) == DATE
    assert await desk.change(client, desk.changed("new")) is None, "another secret ends at another time"
    assert await desk.change(client, desk.changed("newer", secret_expires_at=LATER)) == LATER
    assert await desk.change(client, desk.changed("newest", secret_expires_at=LATER)) == LATER


async def test_credentials_of_other_types_end_as_a_whole(keyrack: World) -> None:
    desk = await desk_of(keyrack, "auth-client")
    body = auth_client([desk.component], desk.place, {"value": "k-1"}, kind="api_key")
    body["data"]["attributes"]["secret_expires_at"] = DATE
    client = (await desk.who.post(desk.path, body)).json()["data"]
    assert await desk.change(client, change({"name": "Another"})) == DATE
    assert await desk.change(client, change({"credentials": {"value": "k-1"}})) == DATE
    assert await desk.change(client, change({"credentials": {"value": "k-2"}})) is None


@pytest.mark.parametrize(
    "wrong", [1, "", "tomorrow", "2031-05-06", "2031-05-06T07:08:09", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"]
)
async def test_what_is_no_time_is_refused(desk: Desk, wrong: Any) -> None:
    client = await desk.make(secret_expires_at=DATE)
    if desk.kind == "auth-client":  # of which a component has as many as one likes
        assert error_of(await desk.who.post(desk.path, desk.body(secret_expires_at=wrong))) == (
            400, "validation_error", MEMBER,
        )  # fmt: skip
    answer = await desk.who.patch(f"{desk.path}/{client['id']}", desk.changed(secret_expires_at=wrong))
    assert error_of(answer) == (400, "validation_error", MEMBER)
    assert await desk.shown(client, client) == DATE


async def test_where_there_is_no_secret_none_can_end(desk: Desk) -> None:
    public: dict[str, Any] = {"secret_expires_at": DATE}
    body = desk.body("", **public)
    if desk.kind == "auth-client":
        body["data"]["attributes"]["credentials"] = {**OAUTH2, "client_secret": None, "client_auth": "none"}
    else:
        body["data"]["attributes"]["client_auth"] = "none"
    assert error_of(await desk.who.post(desk.path, body)) == (400, "validation_error", MEMBER)
    client = await desk.make(**public)
    gone = desk.changed("", client_auth="none")
    if desk.kind == "auth-client":
        gone = change({"credentials": {"client_secret": None, "client_auth": "none"}})
    assert await desk.change(client, gone) is None
    answer = await desk.who.patch(f"{desk.path}/{client['id']}", change({**gone["data"]["attributes"], **public}))
    if desk.kind == "auth-client":
        assert error_of(answer) == (400, "validation_error", MEMBER)


async def test_whoever_sees_an_auth_client_sees_when_its_secret_ends(keyrack: World) -> None:
    desk, globex = await desk_of(keyrack, "auth-client"), keyrack.tenants["Globex"]
    client = await desk.make(secret_expires_at=DATE)
    path = f"/v2/auth-clients/{client['id']}?workspace_id={globex.workspace_id}"
    seen = (await globex.integrator.get(path)).json()["data"]["attributes"]
    assert (seen["secret_expires_at"], "credentials" in seen) == (DATE, False)
    assert (await keyrack.tenants["Acme"].admin.get(f"/v2/auth-clients/{client['id']}")).status_code == 404


@pytest.mark.parametrize("kind", GENERATIONS)
async def test_lists_are_narrowed_to_secrets_that_end_before_a_time(keyrack_on_each: World, kind: str) -> None:
    made = {}
    for name, date in (("none", None), ("soon", DATE), ("late", LATER)):
        desk = await desk_of(keyrack_on_each, kind, name)
        made[name] = (await desk.make(secret_expires_at=date))["id"]

    async def found(query: str) -> set[str]:
        ids = {each["id"] for each in await desk.list(f"?{query}")}
        return {name for name, client in made.items() if client in ids}

    before = "filter[secret_expires_before]"
    assert await found(f"{before}=") == await found("") == {"none", "soon", "late"}
    assert await found(f"{before}={DATE}") == set()
    assert await found(f"{before}=2031-05-06T07:08:09.124Z") == {"soon"}
    assert await found(f"{before}=2032-01-01T01:00:00%2B01:00") == {"soon"}
    assert await found(f"{before}=2033-01-01T00:00:00Z&page[size]=1&page[number]=2") == {
        max("soon", "late", key=lambda name: made[name])
    }
    assert await found(f"{before}=2033-01-01T00:00:00Z&filter[component]={desk.component}") == {"late"}
    acme = keyrack_on_each.tenants["Acme"]
    others = await acme.admin.get(f"/v2/tenants/{acme.id}/{kind}s?{before}=2033-01-01T00:00:00Z")
    assert others.json()["data"] == []
    if kind == "auth-client":
        place = f"workspace_id={keyrack_on_each.tenants['Globex'].workspace_id}"
        answer = await desk.who.get(f"/v2/auth-clients?{place}&{before}={LATER}")
        assert [each["id"] for each in answer.json()["data"]] == [made["soon"]]
    wrong = await desk.who.get(f"{desk.path}?{before}=soon")
    assert (wrong.status_code, wrong.json()["errors"][0]["source"]) == (400, {"parameter": before})
