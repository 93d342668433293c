"""Webhooks and events: the extension's routes (contract 0.6), who may use them, and what they answer."""

from typing import Any, get_args

import pytest

from keyrack.api.webhook_documents import TypeName
from keyrack.model.events import TELLABLE, EventType
from keyrack.store.outbox import Outbox
from support.app import BASE, Caller, TenantInTest, World, error_of, settings_for, world

URL = "http://127.0.0.1:8/hook"
MISSING = "0" * 24
ROUTES = [
    ("GET", ""),
    ("POST", ""),
    ("GET", "/{id}"),
    ("PATCH", "/{id}"),
    ("DELETE", "/{id}"),
    ("POST", "/{id}/rotate-secret"),
    ("GET", "/{id}/deliveries"),
    ("POST", "/{id}/replay"),
    ("POST", "/{id}/test"),
]
EVENT_ROUTES = [("GET", ""), ("POST", "/{id}/replay")]


def body(**attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "webhook", "attributes": attributes}}


def path(tenant: TenantInTest, rest: str = "") -> str:
    return f"/v2/tenants/{tenant.id}/webhooks{rest}"


async def made(tenant: TenantInTest, **attributes: Any) -> dict[str, Any]:
    answer = await tenant.admin.post(path(tenant), body(**{"url": URL} | attributes))
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def happened(keyrack: World, tenant: TenantInTest, kind: EventType, **data: Any) -> None:
    async with keyrack.store.unit(tenant.id, writes=True) as unit:
        await Outbox(unit).add(kind, data)


@pytest.fixture
def globex(keyrack: World) -> TenantInTest:
    return keyrack.tenants["Globex"]


async def test_create_shows_the_secret_once(acme: TenantInTest) -> None:
    answer = await acme.admin.post(path(acme), body(url=URL))
    assert answer.status_code == 201
    data = answer.json()["data"]
    attributes = data["attributes"]
    assert data["type"] == "webhook"
    assert data["links"] == {"self": path(acme, f"/{data['id']}")}
    assert attributes.pop("secret").startswith("whsec_")
    assert attributes.pop("created_at") == attributes.pop("updated_at")
    assert attributes == {
        "url": URL,
        "description": "",
        "event_types": None,
        "enabled": True,
        "disabled_reason": None,
    }
    again = await acme.admin.get(path(acme, f"/{data['id']}"))
    listed = await acme.admin.get(path(acme))
    assert "secret" not in again.json()["data"]["attributes"]
    assert listed.json() == {"data": [again.json()["data"]], "meta": {}}


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({}, "url"),
        ({"url": 1}, "url"),
        ({"url": " "}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "https://user:pass@example.com/"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": URL, "event_types": []}, "event_types"),
        ({"url": URL, "event_types": ["secret.unknown"]}, "event_types/0"),
        ({"url": URL, "event_types": ["webhook.test"]}, "event_types/0"),
        ({"url": URL, "enabled": "yes"}, "enabled"),
        ({"url": URL, "description": "x" * 1001}, "description"),
    ],
)
async def test_create_points_at_what_is_wrong(acme: TenantInTest, attributes: dict[str, Any], pointer: str) -> None:
    answer = await acme.admin.post(path(acme), body(**attributes))
    assert error_of(answer) == (400, "validation_error", f"/data/attributes/{pointer}")
    assert (await acme.admin.get(path(acme))).json()["data"] == []


async def test_plain_http_and_private_receivers_need_the_setting(tmp_path: Any) -> None:
    async with world(settings_for(tmp_path, public_url=BASE)) as strict:
        tenant = strict.tenants["Acme"]
        for url in ("http://example.com/", "https://127.0.0.1/", "https://localhost/", "https://10.1.2.3/"):
            refused = await tenant.admin.post(path(tenant), body(url=url))
            assert error_of(refused) == (400, "validation_error", "/data/attributes/url"), url
        assert (await tenant.admin.post(path(tenant), body(url="https://example.com/"))).status_code == 201


async def test_another_type_is_409(acme: TenantInTest) -> None:
    answer = await acme.admin.post(path(acme), {"data": {"type": "hook", "attributes": {"url": URL}}})
    assert error_of(answer)[:2] == (409, "type_conflict")


async def test_a_tenant_can_have_fifty(acme: TenantInTest) -> None:
    for _ in range(50):
        await made(acme)
    assert error_of(await acme.admin.post(path(acme), body(url=URL)))[:2] == (409, "state_conflict")


async def test_patch_changes_what_it_names(acme: TenantInTest) -> None:
    webhook = await made(acme, event_types=["secret.failed"], description="one")
    where = path(acme, f"/{webhook['id']}")
    changed = await acme.admin.patch(where, body(description="two"))
    assert changed.json()["data"]["attributes"] | {"updated_at": ""} == {
        **{name: value for name, value in webhook["attributes"].items() if name != "secret"},
        "description": "two",
        "updated_at": "",
    }
    changed = await acme.admin.patch(where, body(url="http://127.0.0.1:8/other", event_types=None, enabled=False))
    attributes = changed.json()["data"]["attributes"]
    assert (attributes["url"], attributes["event_types"]) == ("http://127.0.0.1:8/other", None)
    assert attributes["enabled"] is False
    assert error_of(await acme.admin.patch(where, body(url="ftp://x/")))[2] == "/data/attributes/url"
    conflict = await acme.admin.patch(where, {"data": {"type": "webhook", "id": MISSING, "attributes": {}}})
    assert error_of(conflict)[:2] == (409, "id_conflict")


async def test_delete(acme: TenantInTest) -> None:
    webhook = await made(acme)
    assert (await acme.admin.delete(path(acme, f"/{webhook['id']}"))).status_code == 204
    assert error_of(await acme.admin.get(path(acme, f"/{webhook['id']}")))[:2] == (404, "not_found")


async def test_rotating_shows_a_new_secret(acme: TenantInTest) -> None:
    webhook = await made(acme)
    rotated = await acme.admin.post(path(acme, f"/{webhook['id']}/rotate-secret"))
    assert rotated.status_code == 200
    secret = rotated.json()["data"]["attributes"]["secret"]
    assert secret.startswith("whsec_")
    assert secret != webhook["attributes"]["secret"]


async def test_only_types_that_are_wanted_are_delivered(keyrack: World, acme: TenantInTest) -> None:
    usual, named = await made(acme), await made(acme, event_types=["secret.refreshed"])
    disabled = await made(acme, enabled=False)
    for kind in (EventType.secret_created, EventType.secret_refreshed):
        await happened(keyrack, acme, kind, secret_id=MISSING)
    listed = {}
    for webhook in (usual, named, disabled):
        answer = await acme.admin.get(path(acme, f"/{webhook['id']}/deliveries"))
        listed[webhook["id"]] = [entry["attributes"]["event_type"] for entry in answer.json()["data"]]
    assert listed == {usual["id"]: ["secret.created"], named["id"]: ["secret.refreshed"], disabled["id"]: []}


async def test_deliveries_are_paged_and_filtered(keyrack: World, acme: TenantInTest) -> None:
    webhook = await made(acme)
    for _ in range(3):
        await happened(keyrack, acme, EventType.secret_failed, secret_id=MISSING)
    where = path(acme, f"/{webhook['id']}/deliveries")
    first = await acme.admin.get(f"{where}?page[size]=2&filter[state]=pending")
    assert first.json()["meta"] == {"page": 1, "per_page": 2, "total": 3, "total_pages": 2}
    attributes = first.json()["data"][0]["attributes"]
    assert attributes | {"event_id": "", "due_at": "", "created_at": ""} == {
        "event_id": "",
        "event_type": "secret.failed",
        "state": "pending",
        "attempts": 0,
        "due_at": "",
        "last_status": None,
        "last_error": None,
        "created_at": "",
        "finished_at": None,
    }
    assert (await acme.admin.get(f"{where}?filter[state]=failed")).json()["data"] == []
    refused = await acme.admin.get(f"{where}?filter[state]=lost")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"] == {"parameter": "filter[state]"}


async def test_disabling_gives_up_what_is_on_its_way(keyrack: World, acme: TenantInTest) -> None:
    webhook = await made(acme)
    await happened(keyrack, acme, EventType.secret_failed, secret_id=MISSING)
    await acme.admin.patch(path(acme, f"/{webhook['id']}"), body(enabled=False))
    (delivery,) = (await acme.admin.get(path(acme, f"/{webhook['id']}/deliveries"))).json()["data"]
    assert (delivery["attributes"]["state"], delivery["attributes"]["last_error"]) == ("failed", "disabled")
    for action, sent in (("test", None), ("replay", {"since": "2026-01-01T00:00:00Z"})):
        answer = await acme.admin.post(path(acme, f"/{webhook['id']}/{action}"), sent)
        assert error_of(answer)[:2] == (409, "state_conflict")


async def test_events_are_listed_oldest_first(keyrack: World, acme: TenantInTest, globex: TenantInTest) -> None:
    await happened(keyrack, acme, EventType.secret_created, secret_id="1")
    await happened(keyrack, acme, EventType.secret_failed, secret_id="1", error_code="client_rejected")
    await happened(keyrack, globex, EventType.secret_created, secret_id="2")
    where = f"/v2/tenants/{acme.id}/events"
    listed = (await acme.admin.get(where)).json()
    assert listed["meta"]["total"] == 2
    assert [(entry["attributes"]["type"], entry["attributes"]["data"]) for entry in listed["data"]] == [
        ("secret.created", {"secret_id": "1"}),
        ("secret.failed", {"secret_id": "1", "error_code": "client_rejected"}),
    ]
    filtered = await acme.admin.get(f"{where}?filter[type]=secret.failed&page[size]=1")
    assert [entry["id"] for entry in filtered.json()["data"]] == [listed["data"][1]["id"]]
    assert (await acme.admin.get(f"{where}?filter[type]=nothing")).status_code == 400


async def test_replaying_a_period_starts_what_is_not_on_its_way(keyrack: World, acme: TenantInTest) -> None:
    for kind in (EventType.secret_created, EventType.secret_refreshed, EventType.secret_failed):
        await happened(keyrack, acme, kind, secret_id=MISSING)
    webhook = await made(acme)
    where = path(acme, f"/{webhook['id']}/replay")
    answer = await acme.admin.post(where, {"since": "2020-01-01T00:00:00Z"})
    assert answer.status_code == 202
    assert answer.json() == {
        "data": {"id": webhook["id"], "type": "replay", "attributes": {"deliveries": 2}},
        "meta": {},
    }
    again = await acme.admin.post(where, {"since": "2020-01-01T00:00:00Z"})
    assert again.json()["data"]["attributes"] == {"deliveries": 0}
    before = await acme.admin.post(where, {"since": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00+01:00"})
    assert before.json()["data"]["attributes"] == {"deliveries": 0}


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        ({}, {"/since"}),
        ({"since": "yesterday", "until": "later"}, {"/since", "/until"}),
        ({"since": "2026-01-01T00:00:00"}, {"/since"}),
        ({"since": "2026-01-01T00:00:00Z", "until": ""}, {"/until"}),
    ],
)
async def test_a_replay_needs_times(acme: TenantInTest, sent: dict[str, str], pointers: set[str]) -> None:
    webhook = await made(acme)
    answer = await acme.admin.post(path(acme, f"/{webhook['id']}/replay"), sent)
    assert answer.status_code == 400
    assert {error["source"]["pointer"] for error in answer.json()["errors"]} == pointers


async def test_replaying_an_event_reaches_those_who_want_it(keyrack: World, acme: TenantInTest) -> None:
    await happened(keyrack, acme, EventType.secret_failed, secret_id=MISSING)
    (event,) = (await acme.admin.get(f"/v2/tenants/{acme.id}/events")).json()["data"]
    await made(acme)
    await made(acme, event_types=["secret.created"])
    await made(acme, enabled=False)
    answer = await acme.admin.post(f"/v2/tenants/{acme.id}/events/{event['id']}/replay")
    assert answer.status_code == 202
    assert answer.json()["data"] == {"id": event["id"], "type": "replay", "attributes": {"deliveries": 1}}


async def test_a_test_is_sent_whatever_the_webhook_names(acme: TenantInTest) -> None:
    webhook = await made(acme, event_types=["secret.failed"])
    answer = await acme.admin.post(path(acme, f"/{webhook['id']}/test"))
    assert answer.status_code == 202
    (delivery,) = (await acme.admin.get(path(acme, f"/{webhook['id']}/deliveries"))).json()["data"]
    assert delivery["attributes"]["event_type"] == "webhook.test"
    assert delivery["attributes"]["event_id"] == answer.json()["data"]["id"]


@pytest.mark.parametrize(("method", "rest"), ROUTES)
async def test_every_webhook_route_needs_its_permission(
    keyrack: World, acme: TenantInTest, globex: TenantInTest, method: str, rest: str
) -> None:
    webhook = await made(acme)
    where = path(acme, rest.format(id=webhook["id"]))
    sent: dict[str, Any] | None = None if method == "GET" else {}
    for caller in (
        acme.integrator,
        acme.stranger,
        globex.admin,
        await keyrack.add_service_account("tenants.tenant.get"),
    ):
        assert error_of(await caller.call(method, where, sent))[:2] == (403, "forbidden"), caller.name
    elsewhere = path(globex, rest.format(id=webhook["id"]))
    if "{id}" in rest:  # another tenant's webhook is not there
        assert error_of(await globex.admin.call(method, elsewhere, sent))[:2] == (404, "not_found")
        absent = path(acme, rest.format(id=MISSING))
        assert error_of(await acme.admin.call(method, absent, sent))[:2] == (404, "not_found")


@pytest.mark.parametrize(("method", "rest"), EVENT_ROUTES)
async def test_every_event_route_needs_its_permission(
    keyrack: World, acme: TenantInTest, globex: TenantInTest, method: str, rest: str
) -> None:
    await happened(keyrack, acme, EventType.secret_failed, secret_id=MISSING)
    (event,) = (await acme.admin.get(f"/v2/tenants/{acme.id}/events")).json()["data"]
    where = f"/v2/tenants/{acme.id}/events{rest.format(id=event['id'])}"
    for caller in (acme.integrator, globex.admin):
        assert error_of(await caller.call(method, where))[:2] == (403, "forbidden")
    if rest:
        elsewhere = f"/v2/tenants/{globex.id}/events{rest.format(id=event['id'])}"
        assert error_of(await globex.admin.call(method, elsewhere))[:2] == (404, "not_found")


async def test_a_permission_is_for_its_action_alone(keyrack: World, acme: TenantInTest) -> None:
    webhook = await made(acme)
    needed = {
        "get": {("GET", ""), ("GET", "/{id}"), ("GET", "/{id}/deliveries")},
        "create": {("POST", "")},
        "edit": {
            ("PATCH", "/{id}"),
            *(("POST", f"/{{id}}/{action}") for action in ("rotate-secret", "replay", "test")),
        },
        "delete": {("DELETE", "/{id}")},
    }
    for action, expected in needed.items():
        caller = await keyrack.add_service_account(f"tenants.webhooks.{action}")
        allowed = {route for route in ROUTES if await _try(caller, acme, webhook["id"], *route) != 403}
        assert allowed == expected


async def _try(caller: Caller, tenant: TenantInTest, webhook_id: str, method: str, rest: str) -> int:
    sent: dict[str, Any] | None = None if method in ("GET", "DELETE") else {"data": {}}
    return (await caller.call(method, path(tenant, rest.format(id=webhook_id)), sent)).status_code


async def test_every_change_is_in_the_audit_log(acme: TenantInTest) -> None:
    webhook = await made(acme)
    where = path(acme, f"/{webhook['id']}")
    await acme.admin.patch(where, body(description="x"))
    await acme.admin.post(f"{where}/rotate-secret")
    await acme.admin.post(f"{where}/test")
    await acme.admin.post(f"{where}/replay", {"since": "2026-01-01T00:00:00Z"})
    await acme.admin.delete(where)
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?filter[target]={webhook['id']}")).json()["data"]
    assert [event["attributes"]["action"] for event in events] == [
        "webhook.create",
        "webhook.edit",
        "webhook.rotate-secret",
        "webhook.test",
        "webhook.replay",
        "webhook.delete",
    ]


def test_the_documented_types_are_those_there_are() -> None:
    assert get_args(TypeName) == tuple(kind.value for kind in TELLABLE)
