"""How long a revocation waits for a provider that cannot: as planned, and never less than the provider asks for."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from keyrack.store.schema import revocations
from support.app import World
from support.raw_provider import RawProvider, connect_raw, http_answer

DONE = http_answer(b"", Connection="close")
UNABLE = "503 Service Unavailable"


@pytest.mark.parametrize(
    ("refresh_token", "access_token", "seconds"),
    [(60, 3600, 3600), (3600, 60, 3600), (120, None, 120), (None, None, 5), (1, 1, 5), (90, "done", 90)],
    ids=str,
)
async def test_the_longest_wait_that_is_asked_for_holds_for_both_tokens(
    keyrack: World,
    raw_provider: RawProvider,
    refresh_token: int | None,
    access_token: int | str | None,
    seconds: int,
) -> None:
    made = await connect_raw(keyrack, raw_provider, revocation_uri=f"{raw_provider.url}/revoke")
    raw_provider.answers = [
        DONE
        if asked == "done"
        else http_answer(b"", UNABLE, Connection="close", **({} if asked is None else {"Retry_After": str(asked)}))
        for asked in (refresh_token, access_token)
    ]
    path = f"/v2/workspaces/{made.secret.workspace_id}/secrets/{made.secret.id}"
    assert (await keyrack.tenants["Acme"].admin.delete(path)).status_code == 204
    began, clock = time.monotonic(), keyrack.store.clock
    before = clock()
    while not await keyrack.services.revoker.tick():
        assert time.monotonic() - began < 60
    after = clock()
    async with keyrack.store.installation() as unit:
        (job,) = (await unit.connection.execute(select(revocations))).all()
    assert (job.outcome, job.attempts) == (None, 1)
    longest = seconds * 1.2 if seconds == 5 else seconds
    assert before + timedelta(seconds=seconds, milliseconds=-1) <= job.due_at
    assert job.due_at <= after + timedelta(seconds=longest)
