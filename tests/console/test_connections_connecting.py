"""Connecting accounts in the console, over HTTP: choosing, forms of all kinds, consents and how they end, links."""

import re
from pathlib import Path
from typing import Any

import pytest

import keyrack.console
from keyrack.console.consents.field_values import field_id
from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.console import signed_in
from support.console_connecting import Integrator
from support.grants import CLIENT_ID, SECRET, component_for, connect, stored
from support.secrets import CLIENT, add_client

FIELDS = {
    "host": {"label": "Host", "viewClass": "TextFieldView", "required": True, "placeholder": "mail.example"},
    "notes": {"label": "Notes", "viewClass": "TextAreaView"},
    "secret": {"label": "Secret", "viewClass": "PasswordFieldView", "required": True, "note": "From the settings."},
    "tls": {"label": "TLS", "viewClass": "CheckBoxView"},
    "region": {"label": "Region", "viewClass": "SelectView", "required": True, "model": {"eu": "Europe", "us": "USA"}},
    "topics": {"label": "Topics", "viewClass": "MultiSelectView", "model": {"a": "First", "b": "Second"}},
    "<script>": {"label": "<script>x</script>", "viewClass": "TextFieldView"},
}


@pytest.fixture
async def integrator(keyrack: World) -> Integrator:
    globex = keyrack.tenants["Globex"]
    return Integrator(keyrack, await signed_in(keyrack, globex.integrator, globex.id))


async def test_choosing_is_searched_on_the_server(integrator: Integrator, simulator: RunningSimulator) -> None:
    await component_for(integrator.world, simulator, name="mailbox")
    await add_client(integrator.world, integrator.tenant, "basic")
    page = await integrator.browser.get(f"{integrator.path}/connect")
    assert "acme/mailbox" in page.text
    assert "workspace client" in page.text
    page = await integrator.browser.get(f"{integrator.path}/connect?q=MAILB")
    assert "acme/mailbox" in page.text
    assert "workspace client" not in page.text
    page = await integrator.browser.get(f"{integrator.path}/connect?q=100%25")
    assert "No component has this in its name" in page.text
    acme, guest = integrator.world.tenants["Globex"], integrator.world.tenants["Globex"].guest
    refused = await (await signed_in(integrator.world, guest, acme.id)).get(f"{integrator.path}/connect")
    assert refused.status_code == 403


async def test_a_consent_is_bound_to_the_browser_and_its_end_is_shown(
    integrator: Integrator, simulator: RunningSimulator
) -> None:
    component_id = await component_for(integrator.world, simulator, userinfo_uri=f"{simulator.base_url}/api/me")
    consent = await integrator.begin(f"component={component_id}", name="Nora")
    way = await integrator.way(consent)
    live = await integrator.browser.get(consent, **{"x-keyrack-live": "1", "hx-request": "true"})
    assert "hx-redirect" not in live.headers
    globex = integrator.tenant
    elsewhere = Integrator(integrator.world, await signed_in(integrator.world, globex.integrator, globex.id))
    page = await elsewhere.browser.get(consent)
    assert "begun in another browser" in page.text
    assert "/authorize" not in page.text
    assert "This is another browser" in (await elsewhere.come_back(way)).text
    admin = await signed_in(integrator.world, globex.admin, globex.id)
    assert (await admin.get(consent)).status_code == 404
    answer = await integrator.come_back(way)
    assert answer.status_code == 303
    back = answer.headers["location"].removeprefix("http://keyrack.test")
    assert back.startswith(consent)
    live = await integrator.browser.get(consent, **{"x-keyrack-live": "1", "hx-request": "true"})
    assert live.headers["hx-redirect"] == consent
    page = await integrator.browser.get(back)
    assert "The account is connected" in page.text
    found = re.search(rf'href="({integrator.path}/credentials/[0-9a-f]+)\?done=connected"', page.text)
    assert found is not None
    page = await integrator.browser.get(found[1])
    assert ">Nora<" in page.text.replace("<bdi>", "").replace("</bdi>", "")
    assert simulator.state.config.users[0].email in page.text  # whose account it is
    listed = await integrator.browser.get(f"{integrator.path}/credentials")
    assert found[1] in listed.text


async def test_denial_and_expiry_are_told_in_plain_words(integrator: Integrator, simulator: RunningSimulator) -> None:
    component_id = await component_for(integrator.world, simulator)
    consent = await integrator.begin(f"component={component_id}")
    state = re.search(r"state=([^&]+)", await integrator.way(consent))
    assert state is not None
    said = "access_denied&error_description=Nora+%3Cb%3Edoes+not+want+to"
    answer = await integrator.browser.get(f"/callback/oauth2?state={state[1]}&error={said}")
    assert answer.status_code == 400
    page = await integrator.browser.get(consent)
    assert "The account was not connected" in page.text
    assert "Nora &lt;b&gt;does not want to" in page.text
    assert f"{integrator.path}/connect?component={component_id}" in page.text
    page = await integrator.browser.get(f"{integrator.path}/consents/{'0' * 24}")
    assert page.status_code == 404


async def test_an_auth_client_s_consent_and_reconnecting_keep_the_id(
    integrator: Integrator, simulator: RunningSimulator
) -> None:
    client_id = await add_client(
        integrator.world,
        integrator.tenant,
        auth_uri=simulator.authorization_endpoint,
        token_uri=simulator.token_endpoint,
        refresh_token_uri=simulator.token_endpoint,
        client_id=CLIENT_ID,
        client_secret=SECRET,
    )
    consent = await integrator.begin(f"auth_client={client_id}", scopes="read write")
    way = await integrator.way(consent)
    assert "scope=read%20write" in way or "scope=read+write" in way
    back = (await integrator.come_back(way)).headers["location"].removeprefix("http://keyrack.test")
    page = await integrator.browser.get(back)
    found = re.search(rf'href="({integrator.path}/connections/([0-9a-f]+))\?done=connected"', page.text)
    assert found is not None
    page = await integrator.browser.get(found[1])
    assert "read" in page.text
    answer = await integrator.browser.post(f"{found[1]}/reconnect")
    assert answer.status_code == 303
    way = await integrator.way(answer.headers["location"])
    assert "scope=read%20write" in way or "scope=read+write" in way
    back = (await integrator.come_back(way)).headers["location"]
    assert back.endswith(f"secret_id={found[2]}")
    guest = await signed_in(integrator.world, integrator.tenant.guest, integrator.tenant.id)
    await guest.get(found[1])
    assert (await guest.post(f"{found[1]}/reconnect")).status_code == 403


async def test_every_kind_of_field_reaches_the_credential_and_a_second_press_makes_nothing(
    integrator: Integrator,
) -> None:
    component_id = await integrator.world.add_component(
        integrator.tenant, "plain", {"title": "Plain <b>", "credentials": {"fields": FIELDS}}
    )
    page = await integrator.browser.get(f"{integrator.path}/connect?component={component_id}")
    assert "<script>x" not in page.text
    assert "From the settings." in page.text
    typed = {field_id("host"): "mail.example", field_id("notes"): "a\nb", field_id("tls"): "on"}
    typed |= {field_id("topics"): "b", field_id("<script>"): "y"}
    page = await integrator.send(f"{integrator.path}/connect", **typed)
    assert page.status_code == 400
    assert page.text.count(">is needed<") == 2
    assert 'value="mail.example"' in page.text
    typed |= {field_id("secret"): "s3cret", field_id("region"): "mars"}
    page = await integrator.send(f"{integrator.path}/connect", **typed)
    assert page.status_code == 400
    assert "is not one of the choices" in page.text
    assert "s3cret" not in page.text
    typed[field_id("region")] = "eu"
    hidden = integrator.hidden()
    answers = [await integrator.browser.post(f"{integrator.path}/connect", **hidden, **typed) for _ in range(2)]
    places = {each.headers["location"] for each in answers}
    assert len(places) == 1
    (place,) = places
    page = await integrator.browser.get(place)
    assert "s3cret" not in page.text
    page = await integrator.browser.post(f"{place.partition('?')[0]}/disclose")
    for text in ("mail.example", "s3cret", "&#34;tls&#34;: true", "&#34;region&#34;: &#34;eu&#34;", "&#34;b&#34;"):
        assert text in page.text
    events = (await integrator.tenant.admin.get(f"/v2/tenants/{integrator.tenant.id}/audit-events")).json()["data"]
    told = [each["attributes"]["action"] for each in events]
    assert (told.count("credential.create"), told.count("credential.disclose")) == (1, 1)


async def test_credentials_are_renamed_and_deleted_by_those_who_may(integrator: Integrator) -> None:
    component_id = await integrator.world.add_component(
        integrator.tenant, "plain", {"title": "Plain", "credentials": {"fields": {"key": FIELDS["secret"]}}}
    )
    place = await integrator.begin(f"component={component_id}", **{field_id("key"): "k"}, name="Old")
    at = place.partition("?")[0]
    assert (await integrator.browser.post(f"{at}/rename", name="")).status_code == 400
    assert (await integrator.browser.post(f"{at}/rename", name="New name")).status_code == 303
    assert "New name" in (await integrator.browser.get(at)).text
    guest = await signed_in(integrator.world, integrator.tenant.guest, integrator.tenant.id)
    page = await guest.get(at)
    assert page.status_code == 200
    for action in ("rename", "disclose", "delete"):
        assert f"{at}/{action}" not in page.text
        assert (await guest.post(f"{at}/{action}", name="x")).status_code == 403
    assert "No flow uses it" in (await integrator.browser.get(f"{at}/delete")).text
    assert (await integrator.browser.post(f"{at}/delete")).status_code == 303
    assert (await integrator.browser.get(at)).status_code == 404


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        ("basic", {"username": "nora", "password": "pw-1"}, {"username": "nora", "password": "pw-1"}),
        ("api_key", {"headerName": "X-Key", "headerValue": "k-1"}, {"headerName": "X-Key", "headerValue": "k-1"}),
        ("special", {"": '{"token": "t-1"}'}, {"token": "t-1"}),
        ("noauth", {}, {}),
    ],
)
async def test_secrets_without_oauth_have_a_form_too(
    integrator: Integrator, kind: str, typed: dict[str, str], kept: dict[str, Any]
) -> None:
    client_id = await add_client(integrator.world, integrator.tenant, kind)
    fields = {field_id(name): value for name, value in typed.items()}
    place = await integrator.begin(f"auth_client={client_id}", name="Mine", **fields)
    secret_id = place.partition("?")[0].rpartition("/")[2]
    path = f"/v2/workspaces/{integrator.tenant.workspace_id}/secrets/{secret_id}"
    found = await integrator.tenant.integrator.get(path)
    assert found.json()["data"]["attributes"]["credentials"] == kept
    page = await integrator.browser.get(place)
    assert "Works" in page.text
    assert "/test" not in page.text  # there is nothing to test it with


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ('{"a": "\\ud800"}', "a lone surrogate"),
        ('{"a": "\\u0000"}', "a NUL character"),
        ('{"a": NaN}', "has NaN"),
        ('{"a": 1, "a": 2}', "twice in one object"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        ("[]", "must be a JSON object"),
    ],
    ids=["surrogate", "NUL", "NaN", "twice", "deep object", "deep array", "no object"],
)
async def test_json_in_a_field_is_read_as_strictly_as_the_api_s(integrator: Integrator, typed: str, told: str) -> None:
    client_id = await add_client(integrator.world, integrator.tenant, "special")
    await integrator.browser.get(f"{integrator.path}/connect?auth_client={client_id}")
    page = await integrator.send(f"{integrator.path}/connect", name="Mine", **{field_id(""): typed})
    assert page.status_code == 400
    assert told in page.text
    listed = await integrator.tenant.integrator.get(f"/v2/workspaces/{integrator.tenant.workspace_id}/secrets")
    assert (listed.status_code, listed.json()["data"]) == (200, [])


def test_no_page_reads_json_in_its_own_way() -> None:
    """`json_object` is strict; what the standard library reads can be such that no database keeps it."""
    modules = Path(keyrack.console.__file__).parent.rglob("*.py")
    assert [module.name for module in modules if "json.loads" in module.read_text("utf-8")] == []


async def test_what_cannot_be_connected_says_why(integrator: Integrator) -> None:
    world, globex = integrator.world, integrator.tenant
    lacking = await world.add_component(globex, "bare", {"title": "Bare"})
    needing = await world.add_component(globex, "second", {"title": "Second", "authClientTypes": ["oauth2"]})
    unbuilt = await world.add_component(globex, "unbuilt")
    for component_id, text in [
        (lacking, "needs no account"),
        (needing, "No auth client"),
        (unbuilt, "no successful build"),
    ]:
        page = await integrator.browser.get(f"{integrator.path}/connect?component={component_id}")
        assert text in page.text
    for client_id in ("one", "other"):
        await add_client(world, globex, components=(needing,), client_id=client_id)
    page = await integrator.browser.get(f"{integrator.path}/connect?component={needing}")
    assert page.text.count("auth_client=") == 2
    assert (await integrator.browser.get(f"{integrator.path}/connect?component={'0' * 24}")).status_code == 404
    assert (await integrator.browser.get(f"{integrator.path}/connect?auth_client={'0' * 24}")).status_code == 404
    assert CLIENT["client_secret"] not in page.text


async def test_connect_links_are_shown_once_and_listed_with_their_outcome(
    integrator: Integrator, simulator: RunningSimulator
) -> None:
    component_id = await component_for(integrator.world, simulator)
    links = f"{integrator.path}/connect-links"
    page = await integrator.browser.get(links)
    assert "You have made no connect link yet" in page.text
    page = await integrator.browser.get(f"{links}/new")
    assert f"component={component_id}" in page.text
    await integrator.browser.get(f"{links}/new?component={component_id}")
    hidden = integrator.hidden()
    first = await integrator.browser.post(links, **hidden, name="Nora <b>", lifetime="3600")
    second = await integrator.browser.post(links, **hidden, name="Nora <b>", lifetime="3600")
    assert first.status_code == 200
    urls = [re.search(r'id="connect-url">([^<]+)<', each.text) for each in (first, second)]
    assert urls[0] is not None
    assert urls[1] is not None
    assert urls[0][1] == urls[1][1]  # one link, however often the form is sent
    opened = await integrator.world.http.get(urls[0][1])
    assert opened.status_code == 200
    page = await integrator.browser.get(links)
    assert urls[0][1] not in page.text
    assert "Nora &lt;b&gt;" in page.text
    assert "not opened yet" in page.text
    assert 'class="count">1<' in page.text
    admin = await signed_in(integrator.world, integrator.tenant.admin, integrator.tenant.id)
    assert "You have made no connect link yet" in (await admin.get(links)).text
    guest = await signed_in(integrator.world, integrator.tenant.guest, integrator.tenant.id)
    assert (await guest.get(links)).status_code == 403
    plain = await integrator.world.add_component(
        integrator.tenant, "plain", {"title": "Plain", "credentials": {"fields": {"key": FIELDS["secret"]}}}
    )
    page = await integrator.browser.get(f"{links}/new?component={plain}")
    assert "can be connected by a link" in page.text


async def test_a_workspace_of_another_tenant_is_not_there(keyrack: World, simulator: RunningSimulator) -> None:
    made = await connect(keyrack, simulator, age=0)
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    browser = await signed_in(keyrack, globex.admin, globex.id)
    for below in ("", "/credentials", "/connect", "/connect-links", f"/connections/{made.secret.id}"):
        answer = await browser.get(f"/console/workspaces/{acme.workspace_id}{below}")
        assert answer.status_code in (403, 404)
        answer = await browser.get(f"/console/workspaces/{globex.workspace_id}/connections/{made.secret.id}")
        assert answer.status_code == 404
    await browser.get("/console")
    for action in ("test", "refresh", "rename", "disclose", "delete", "reconnect"):
        at = f"/console/workspaces/{globex.workspace_id}/connections/{made.secret.id}/{action}"
        assert (await browser.post(at, name="x")).status_code == 404
    assert (await stored(keyrack.store, made.secret)).name == made.secret.name
