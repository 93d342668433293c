"""Users without a key, links that give them one, and what a person does with such a link."""

import re
from typing import Any

import httpx2

from support.app import BASE, Caller, TenantInTest, World

KEY = re.compile(r'<code id="api-key">(kr_[A-Za-z0-9_-]{43})</code>')
NAMES = {"first_name": "Nora", "last_name": "Person"}


async def newcomer(who: Caller, email: str) -> str:
    """Create a user over the API, who has no key; return the id."""
    attributes = {"first_name": "N", "last_name": "P", "email": email, "password": "correct h0rse"}
    answer = await who.post("/v2/users", {"data": {"type": "user", "attributes": attributes}})
    assert answer.status_code == 201, answer.text
    identity: str = answer.json()["data"]["id"]
    return identity


async def link_for(who: Caller, user_id: str) -> str:
    """Make a link for a user; return its address."""
    answer = await who.post(f"/v2/users/{user_id}/setup-links")
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["data"]["attributes"]["url"]
    return url


async def invited(who: Caller, contract_id: str, email: str, *roles: str, **more: Any) -> httpx2.Response:
    """Invite somebody into a contract; return the answer."""
    attributes = {"email": email, "roles": list(roles or ["member"]), **more}
    path = f"/v2/contracts/{contract_id}/invites"
    answer = await who.post(path, {"data": {"type": "contract-invite", "attributes": attributes}})
    assert answer.status_code == 200, answer.text
    return answer


async def use(world: World, url: str, **form: str) -> httpx2.Response:
    """Press the button of a link's page."""
    return await world.http.post(url.removeprefix(BASE), data=form)


async def key_from(world: World, url: str, email: str, **form: str) -> Caller:
    """Use a link; return whoever has the key that is shown."""
    answer = await use(world, url, **form)
    assert answer.status_code == 200, answer.text
    found = KEY.search(answer.text)
    assert found is not None, answer.text
    return Caller(world.http, email, found[1])


async def is_refused(world: World, url: str, **form: str) -> bool:
    """Tell whether a link is refused as one that was never ours, looked at and used."""
    unknown = f"{BASE}/setup?link=never-ours"
    same = []
    for asked, other in (
        (await world.http.get(url), await world.http.get(unknown)),
        (await use(world, url, **form), await use(world, unknown, **form)),
    ):
        shown = [re.sub(r"<code>[^<]*</code>", "", each.text) for each in (asked, other)]  # the reference differs
        same.append(asked.status_code == other.status_code == 400 and shown[0] == shown[1])
    return all(same)


async def give_roles(tenant: TenantInTest, user_id: str, *roles: str) -> None:
    """Give a user roles in the tenant itself."""
    body = {"data": {"type": "tenant-member", "id": user_id, "attributes": {"roles": list(roles)}}}
    answer = await tenant.admin.patch(f"/v2/tenants/{tenant.id}/members/{user_id}", body)
    assert answer.status_code == 200, answer.text
