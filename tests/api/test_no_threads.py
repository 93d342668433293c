"""An ordinary read is answered in the event loop: handing any part of it to a thread costs more than the part."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.app import World
from support.tenancy.estate import build_estate


async def test_no_part_of_an_ordinary_read_is_handed_to_a_thread(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = await build_estate(keyrack_on_each, "Acme")
    ids, admin, member = estate.ids, estate.people["admin"], estate.tenant.integrator
    reads = [
        (admin, f"/v2/tenants/{estate.tenant.id}/oauth-clients/{ids['oauth_client_id']}"),
        (member, f"/v2/auth-clients/{ids['auth_client_id']}"),
        (member, f"/v2/credentials/{ids['credential_id']}"),
        (member, f"/v2/flows/{ids['flow_id']}"),
    ]
    for who, path in reads:  # what is opened once, is opened now
        assert (await who.get(path)).status_code == 200
    handed = list[str]()
    submit = ThreadPoolExecutor.submit

    def noted(pool: ThreadPoolExecutor, call: Any, *given: Any, **named: Any) -> Any:
        handed.append(repr(call))
        return submit(pool, call, *given, **named)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", noted)
    for who, path in reads:
        assert (await who.get(path)).status_code == 200
        assert (path, handed) == (path, [])
