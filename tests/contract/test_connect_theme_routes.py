"""The route of a tenant's connect pages: what is taken, what is refused, what is served of it (decision 36)."""

from base64 import b64encode
from typing import Any

import httpx2
import pytest

from keyrack.service.consents.connect_theme_rules import LARGEST_LOGO
from support.app import BASE, Caller, World, error_of
from support.connect_links import someone
from support.images import jpeg, png, webp

NOTHING: dict[str, Any] = {
    "display_name": None,
    "accent_color": None,
    "show_keyrack": True,
    "return_origins": [],
    "logo": None,
}
AT = "/data/attributes"


def base64(content: bytes) -> str:
    return b64encode(content).decode()


async def anybody(keyrack: World, url: str) -> httpx2.Response:
    async with someone(keyrack) as person:
        return await person.get(url)


async def change(keyrack: World, **attributes: Any) -> httpx2.Response:
    globex = keyrack.tenants["Globex"]
    data = {"type": "connect-theme", "id": globex.id, "attributes": attributes}
    return await globex.admin.patch(f"/v2/tenants/{globex.id}/connect-theme", {"data": data})


async def theme_of(who: Caller, tenant_id: str) -> dict[str, Any]:
    answer = await who.get(f"/v2/tenants/{tenant_id}/connect-theme")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_what_is_said_is_kept_and_what_is_left_out_stays(keyrack_on_each: World) -> None:
    globex, acme = keyrack_on_each.tenants["Globex"], keyrack_on_each.tenants["Acme"]
    first = await theme_of(globex.admin, globex.id)
    assert first == {
        "id": globex.id,
        "type": "connect-theme",
        "links": {"self": f"/v2/tenants/{globex.id}/connect-theme"},
        "attributes": NOTHING,
    }
    origins = ["https://App.globex.example/", "https://app.globex.example", "http://localhost:3000"]
    said = {"display_name": "Globex Works", "accent_color": "#0A7D4F", "return_origins": origins}
    assert (await change(keyrack_on_each, **said, logo_data=base64(png(30, 20)))).status_code == 200
    shown = (await theme_of(globex.admin, globex.id))["attributes"]
    logo = shown.pop("logo")
    assert shown == {
        "display_name": "Globex Works",
        "accent_color": "#0a7d4f",
        "show_keyrack": True,
        "return_origins": ["https://app.globex.example", "http://localhost:3000"],
    }
    assert logo == {
        "url": logo["url"], "media_type": "image/png", "width": 30, "height": 20, "size": len(png(30, 20)),
    }  # fmt: skip
    assert logo["url"].startswith(f"{BASE}/connect/logo/")
    assert (await change(keyrack_on_each, show_keyrack=False)).json()["data"]["attributes"] == {
        **shown,
        "show_keyrack": False,
        "logo": logo,
    }
    served = await anybody(keyrack_on_each, logo["url"])
    assert (served.status_code, served.content) == (200, png(30, 20))
    assert (await theme_of(acme.admin, acme.id))["attributes"] == NOTHING
    gone = await change(keyrack_on_each, display_name=None, accent_color=None, logo_data=None, return_origins=[])
    assert gone.json()["data"]["attributes"] == {**NOTHING, "show_keyrack": False}
    assert (await anybody(keyrack_on_each, logo["url"])).status_code == 404


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(png(), "image/png"), (jpeg(), "image/jpeg"), (webp(), "image/webp")],
    ids=["png", "jpeg", "webp"],
)
async def test_logos_are_served_as_what_they_are_and_as_nothing_else(
    keyrack: World, content: bytes, media_type: str
) -> None:
    hidden = content + b"<script>alert(1)</script>"
    answer = await change(keyrack, logo_data=base64(hidden))
    served = await anybody(keyrack, answer.json()["data"]["attributes"]["logo"]["url"])
    assert served.headers["content-type"] == media_type
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert served.headers["cross-origin-resource-policy"] == "same-origin"
    assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "set-cookie" not in served.headers


async def test_the_same_logo_of_two_tenants_has_two_addresses(keyrack: World) -> None:
    found = set()
    for tenant in keyrack.tenants.values():
        data = {"type": "connect-theme", "attributes": {"logo_data": base64(png())}}
        answer = await tenant.admin.patch(f"/v2/tenants/{tenant.id}/connect-theme", {"data": data})
        found.add(answer.json()["data"]["attributes"]["logo"]["url"])
    assert len(found) == len(keyrack.tenants)


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"display_name": ""}, "display_name"),
        ({"display_name": " \n"}, "display_name"),
        ({"display_name": "x" * 81}, "display_name"),
        ({"accent_color": "red"}, "accent_color"),
        ({"accent_color": "#0a7d4f;"}, "accent_color"),
        ({"accent_color": "#0a7d4f\n"}, "accent_color"),
        ({"accent_color": "url(https://evil.example)"}, "accent_color"),
        ({"show_keyrack": None}, "show_keyrack"),
        ({"logo_data": "no base64"}, "logo_data"),
        ({"logo_data": base64(b"<svg onload='alert(1)'/>")}, "logo_data"),
        ({"logo_data": base64(png(2049, 1))}, "logo_data"),
        ({"logo_data": base64(png() + bytes(LARGEST_LOGO))}, "logo_data"),
        ({"return_origins": ["https://app.example", "http://app.example"]}, "return_origins/1"),
        ({"return_origins": ["https://app.example/path"]}, "return_origins/0"),
        ({"return_origins": ["https://*.example"]}, "return_origins/0"),
        ({"return_origins": ["javascript:alert(1)"]}, "return_origins/0"),
        ({"return_origins": ["https://user@app.example"]}, "return_origins/0"),
        ({"return_origins": [f"https://{each}.example" for each in range(21)]}, "return_origins"),
    ],
)
async def test_what_is_refused(keyrack_to_read: World, attributes: dict[str, Any], pointer: str) -> None:
    answer = await change(keyrack_to_read, **attributes)
    assert error_of(answer) == (400, "validation_error", f"{AT}/{pointer}")


async def test_a_change_is_in_the_audit_log(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    await change(keyrack, display_name="Globex Works")
    listed = await globex.admin.get(f"/v2/tenants/{globex.id}/audit-events")
    (entry,) = [
        each["attributes"] for each in listed.json()["data"] if each["attributes"]["action"] == "connect-theme.change"
    ]
    assert entry["actor"] == globex.admin.name
    assert entry["target"] == {"type": "tenant", "id": globex.id}
    assert "Globex Works" not in listed.text
