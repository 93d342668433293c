"""The page on which a client's secret is rotated, of auth clients and of OAuth clients."""

import pytest

from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.console import signed_in
from support.grants import add_auth_client, component_for
from support.rotation import NEW, OLD


@pytest.mark.parametrize("kind", ["auth-clients", "oauth-clients"])
async def test_a_rotation_is_begun_moved_and_ended_on_its_page(
    keyrack: World, simulator: RunningSimulator, kind: str
) -> None:
    globex = keyrack.tenants["Globex"]
    if kind == "auth-clients":
        client_id = (await add_auth_client(keyrack.store, globex.id, simulator.token_endpoint)).id
        document = f"/v2/auth-clients/{client_id}"
    else:
        listed = f"/v2/tenants/{globex.id}/oauth-clients"
        component_id = await component_for(keyrack, simulator)
        (client,) = (await globex.admin.get(f"{listed}?filter[component]={component_id}")).json()["data"]
        client_id, document = client["id"], f"{listed}/{client['id']}"
    page = f"/console/{kind}/{client_id}/rotation"
    browser = await signed_in(keyrack, globex.admin, globex.id)
    await browser.get(page)
    refused = await browser.post(page, client_secret=" ")
    assert refused.status_code == 400
    assert "must be a string of 1 to 4096 characters" in refused.text
    for form, done in (
        ({"client_secret": NEW}, "begun"),
        ({"do": "promoted"}, "promoted"),
        ({"do": "rolled_back"}, "rolled_back"),
        ({"do": "trying"}, "trying"),
        ({"do": "end"}, "end"),
    ):
        answer = await browser.post(page, **form)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(f"{page}?done={done}")
        shown = await browser.get(page)
        assert shown.status_code == 200
        assert NEW not in shown.text
        assert OLD not in shown.text
        attributes = (await globex.admin.get(document)).json()["data"]["attributes"]
        in_use = attributes["credentials"] if kind == "auth-clients" else attributes
        assert (in_use["client_secret"] == NEW) is (done == "promoted")
    assert (await globex.admin.get(f"{document}/secret-rotation")).status_code == 404
