"""The console's reports on connections: unused ones, and those that will end; of the tenant, and for the operator."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from keyrack.model.secrets import AuthSecret
from keyrack.store.schema import auth_secrets
from support.app import World
from support.console import signed_in
from support.grants import add_auth_client, add_secret, change
from support.operator_console import operator_browser

DAY = timedelta(days=1)
HOSTILE = "<script>alert(1)</script>\u202emoc"


async def some(world: World, count: int) -> list[AuthSecret]:
    """Store grants that nobody has read and that end soon."""
    acme, now, made = world.tenants["Acme"], datetime.now(UTC), []
    client = await add_auth_client(world.store, acme.id, "https://id.example/token")
    for _ in range(count):
        each = await add_secret(world.store, acme, client, {"access_token": "at-x", "refresh_token": "rt-x"}, age=0)
        made.append(await change(world.store, each, name=HOSTILE, grant_expires_at=now + 6 * DAY))
    async with world.store.unit(acme.id, writes=True) as unit:
        await unit.connection.execute(update(auth_secrets).values(created_at=now - 300 * DAY))
    return made


async def test_both_pages_show_what_the_reports_have(keyrack: World) -> None:
    acme, made = keyrack.tenants["Acme"], await some(keyrack, 1)
    browser = await signed_in(keyrack, acme.admin, acme.id)
    link = f"/console/workspaces/{acme.workspace_id}/connections/{made[0].id}"
    for path, said in (("unused", "never"), ("ending", "The grant ends")):
        page = (await browser.get(f"/console/{path}-connections")).text
        assert link in page
        assert said in page
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert "at-x" not in page
    assert "known" in page
    assert link not in (await browser.get("/console/ending-connections?days=2")).text
    assert link not in (await browser.get("/console/unused-connections?days=400")).text
    wrong = await browser.get("/console/unused-connections?days=many&after=x")
    assert wrong.status_code == 200
    assert "Write a whole number of days" in wrong.text


async def test_a_long_report_is_turned(keyrack: World) -> None:
    acme, made = keyrack.tenants["Acme"], await some(keyrack, 30)
    browser = await signed_in(keyrack, acme.admin, acme.id)
    first = (await browser.get("/console/ending-connections?days=9")).text
    shown = [each.id for each in made if each.id in first]
    assert len(shown) == 25
    later = (await browser.get(f"/console/ending-connections?days=9&after={shown[-1]}")).text
    assert f"days=9&amp;after={shown[-1]}" in first
    assert {each.id for each in made if each.id in later} == {each.id for each in made} - set(shown)


async def test_only_who_may_read_the_audit_log_gets_them(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    browser = await signed_in(keyrack, acme.integrator, acme.id)
    for path in ("unused", "ending"):
        assert (await browser.get(f"/console/{path}-connections")).status_code == 403
    assert "-connections" not in (await browser.get("/console")).text


async def test_the_operator_names_a_tenant(keyrack: World) -> None:
    acme, made = keyrack.tenants["Acme"], await some(keyrack, 1)
    browser = await operator_browser(keyrack, "global.metrics.get", "tenants.audit.get")
    path = "/console/installation/reports"
    assert "Name a tenant" in (await browser.get(path)).text
    for report in ("unused", "ending"):
        page = (await browser.get(f"{path}?report={report}&tenant={acme.id}")).text
        assert made[0].id in page
        assert "Without a name" in page, "who may not read connections is not told what they are called"
    other = await browser.get(f"{path}?tenant={keyrack.tenants['Globex'].id}")
    assert made[0].id not in other.text
    assert (await browser.get(f"{path}?tenant={'0' * 24}")).status_code == 404
