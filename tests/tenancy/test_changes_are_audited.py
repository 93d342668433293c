"""Whatever somebody changes over the API, the audit log says who it was (contract 0.16).

Every route that writes is asked by everybody who may; of reading, only what shows environment variables is in the log.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from keyrack.model.audit import AuditEvent
from keyrack.model.identity import PrincipalKind
from keyrack.service.audit.counted_acts import AuditCounter
from keyrack.store.audit_log import AuditLog
from support.tenancy.stage import Stage, ask
from support.tenancy.table import CALLERS, OF_ANOTHER_TENANT, Row, rows

SUCCESS = "y"
WRITING = [row for row in rows() if row.method != "GET" and row.status < 400]
READ_AND_AUDITED = {
    "/v2/components/{component_id}/env",
    "/v2/workspaces/{workspace_id}/components/{component_id}/runtime-env",
}
NOTHING_IS_THERE = {
    "GET /v2/permissions": "names, which are in the documentation too",
}
"""What may be refused without a word in the log; whatever is at `/v2/users/me` is the caller's own."""


async def log_of(stage: Stage) -> list[AuditEvent]:
    """Return what the tenant's log, the other tenant's and the installation's say."""
    found: list[AuditEvent] = []
    for tenant_id in (stage.mine.tenant.id, stage.other.tenant.id, ""):
        async with stage.world.store.unit(tenant_id) as unit:
            found += (await AuditLog(unit).page({}, None, None, limit=None))[0]
    return found


async def told(stage: Stage, row: Row, column: str) -> list[AuditEvent]:
    """Let a caller do what a row says; return what the log then says of the caller."""
    stage.snapshot.restore()
    before, who = {event.id for event in await log_of(stage)}, stage.callers[column]
    answer = await ask(who, row, stage.mine.ids)
    assert answer.status_code == row.expected(column), answer.text
    after = [event for event in await log_of(stage) if event.id not in before]
    assert {event.actor for event in after if event.actor_kind is not PrincipalKind.system} <= {who.name}
    return [event for event in after if event.actor == who.name]


@pytest.mark.parametrize("column", [each for each in CALLERS if each not in OF_ANOTHER_TENANT])
async def test_every_change_names_who_made_it(stage: Stage, column: str) -> None:
    silent = [
        f"{row.section} {row.method} {row.path}"
        for row in WRITING
        if row.cells[column] == SUCCESS
        and not any(event.outcome == "allowed" and event.target_id for event in await told(stage, row, column))
    ]
    stage.snapshot.restore()
    assert silent == []


async def test_reading_is_not_in_the_log_but_for_environment_variables(stage: Stage) -> None:
    audited = {
        row.route[1]
        for row in rows()
        if row.method == "GET" and row.cells["V"] == SUCCESS and await told(stage, row, "V")
    }
    stage.snapshot.restore()
    assert audited == READ_AND_AUDITED


def refused() -> Iterator[tuple[Row, str]]:
    """Return what is to be tried: each route by a caller of the tenant for each kind of refusal, and by another's."""
    for row in rows():
        if "/users/me" in row.path:
            continue
        kinds = {row.cells[column]: column for column in reversed(CALLERS) if column not in OF_ANOTHER_TENANT}
        kinds["another tenant's"] = "B"
        for column in sorted(set(kinds.values())):
            if row.cells[column] != SUCCESS:
                yield row, column


async def test_every_refusal_is_in_the_log_even_if_the_answer_is_that_there_is_no_such_thing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    note, append = AuditCounter.note, AuditLog.append

    def noting(self: AuditCounter, who: Any, *told: Any) -> None:
        noted.append(f"{who.name} {told[-1]}")
        note(self, who, *told)

    async def appending(self: AuditLog, who: Any, *told: Any) -> None:
        noted.append(f"{who.name} {told[-1]}")
        await append(self, who, *told)

    monkeypatch.setattr(AuditCounter, "note", noting)
    monkeypatch.setattr(AuditLog, "append", appending)
    stage.snapshot.restore()
    silent = []
    for row, column in refused():
        noted.clear()
        await ask(stage.callers[column], row, stage.mine.ids)
        if f"{stage.callers[column].name} denied" not in noted:
            silent.append(f"{row.method} {row.path}")
    assert set(silent) == set(NOTHING_IS_THERE)
