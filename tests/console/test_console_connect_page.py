"""The look of connect pages at the console: who changes it, what is taken, and the preview (decision 36)."""

from collections.abc import Mapping

import httpx2
import pytest

from support.app import World
from support.console import OURS, ConsoleBrowser, signed_in
from support.images import png

PATH = "/console/settings/connect-page"


async def sent(
    browser: ConsoleBrowser, fields: Mapping[str, str], logo: bytes = b"", headers: dict[str, str] | None = None
) -> httpx2.Response:
    await browser.get(PATH)
    given = {"form_token": browser._token, "shows_keyrack": "on", **fields}
    file = {"logo": ("logo.png" if logo else "", logo, "application/octet-stream")}
    return await browser._asked("POST", PATH, OURS if headers is None else headers, data=given, files=file)


@pytest.fixture
async def admin(keyrack: World) -> ConsoleBrowser:
    globex = keyrack.tenants["Globex"]
    return await signed_in(keyrack, globex.admin, globex.id)


async def test_an_admin_changes_the_look_and_sees_it(keyrack: World, admin: ConsoleBrowser) -> None:
    fields = {
        "display_name": "Globex <b>Works</b>",
        "accent_color": "#0A7D4F",
        "return_origins": "https://app.globex.example\r\nhttp://localhost:3000\r\n",
    }
    done = await sent(admin, fields, png())
    assert (done.status_code, done.headers["location"]) == (303, f"{PATH}?done=saved")
    page = await admin.get(f"{PATH}?done=saved")
    assert "The pages look like this from now on." in page.text
    assert 'value="Globex &lt;b&gt;Works&lt;/b&gt;"' in page.text
    assert 'fill="#0a7d4f"' in page.text
    assert "style=" not in page.text
    preview = await admin.get(f"{PATH}/preview")
    assert "<span>Globex &lt;b&gt;Works&lt;/b&gt;</span>" in preview.text
    assert "<form" not in preview.text
    assert 'src="../../../connect/logo/' in preview.text
    globex = keyrack.tenants["Globex"]
    stored = await globex.admin.get(f"/v2/tenants/{globex.id}/connect-theme")
    assert stored.json()["data"]["attributes"]["return_origins"] == [
        "https://app.globex.example",
        "http://localhost:3000",
    ]
    await sent(admin, fields)  # without a file the logo stays
    assert "no_logo" in (await admin.get(PATH)).text
    await sent(admin, {"no_logo": "on", **fields})
    assert "no_logo" not in (await admin.get(PATH)).text


@pytest.mark.parametrize(
    ("fields", "logo", "said"),
    [
        ({"accent_color": "red"}, b"", "must be # and six digits"),
        ({"display_name": "x" * 81}, b"", "must have at most 80 characters"),
        ({"return_origins": "https://app.example/path"}, b"", "must be a web origin such as"),
        ({"return_origins": " ".join(f"https://{each}.example" for each in range(21))}, b"", "at most 20"),
        ({}, b"<svg onload='alert(1)'/>", "must be a PNG, JPEG or WebP image"),
    ],
)
async def test_what_is_wrong_stands_beneath_its_field(
    admin: ConsoleBrowser, fields: dict[str, str], logo: bytes, said: str
) -> None:
    answer = await sent(admin, fields, logo)
    assert answer.status_code == 400
    assert said in answer.text
    assert 'class="wrong"' in answer.text
    for value in fields.values():
        assert value.split()[0] in answer.text, "what was typed stands there again"


async def test_forms_of_others_change_nothing(admin: ConsoleBrowser) -> None:
    assert (await sent(admin, {"display_name": "Theirs"}, headers={"sec-fetch-site": "cross-site"})).status_code == 403
    assert (await sent(admin, {"form_token": "0" * 64, "display_name": "Theirs"})).status_code == 403
    assert "Theirs" not in (await admin.get(PATH)).text


async def test_who_may_not_see_the_tenant_is_told_so(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    browser = await signed_in(keyrack, globex.integrator, globex.id)
    assert (await browser.get(PATH)).status_code == 403
    assert (await browser.get(f"{PATH}/preview")).status_code == 403
    assert PATH not in (await browser.get("/console")).text
