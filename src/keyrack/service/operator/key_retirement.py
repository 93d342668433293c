"""Retires keys that nothing needs any more, and says what still needs the others."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from keyrack.crypto.envelope import DecryptionFailed, key_id_of
from keyrack.crypto.kek import local, unwraps
from keyrack.crypto.kek.chain import KeyChain
from keyrack.service.authz.operator import operator
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.data_key_list import DataKeyList
from keyrack.store.key_rotations import KeyRotations, RetiringKey, SupersededKey
from keyrack.store.processes import Processes
from keyrack.store.resealing import Resealing, SupersededValues
from keyrack.store.spool import Spool

LEAST_AGE = timedelta(hours=1)
"""How long a data key must have been superseded, unless the operator says otherwise."""
_HEARD_WITHIN = timedelta(seconds=60)
"""A request to a provider that begins later has its answer encrypted with the newer data key."""


@dataclass(frozen=True, slots=True)
class Need:
    """What still needs an old key.

    Attributes:
        layer: `data_key` or `key_encryption_key`.
        key: its id.
        tenant_id: whose data key it is; empty for the installation's; None for a key-encryption key.
        what: `values`, `spool`, `open_requests`, `process`, `data_keys`, `age` or `rotation`.
        where: a table, a folder or a process.
        count: how many.
    """

    layer: str
    key: str
    tenant_id: str | None
    what: str
    where: str
    count: int


@dataclass(frozen=True, slots=True)
class Retired:
    """What became of old keys.

    Attributes:
        data_keys: ids of data keys that were deleted.
        key_encryption_keys: ids of keys that were removed from the key file.
        unused: ids of other key-encryption keys that nothing needs: whoever keeps them can remove them.
        needs: what still needs the others.
    """

    data_keys: Sequence[str]
    key_encryption_keys: Sequence[str]
    unused: Sequence[str]
    needs: Sequence[Need]


class KeyRetirement:
    """For whoever works on the machine itself.

    Args:
        store: all data.
        kek: the key sources in force, as the store's keyring has them.
        key_file: the key file, if one is among them; keys that nothing needs are removed from it.
        spool: what waits on this machine's disk.
    """

    def __init__(self, store: Store, kek: KeyChain, key_file: Path | None, spool: Spool) -> None:
        self._store = store
        self._kek = kek
        self._key_file = key_file
        self._spool = spool

    async def needs(self, least_age: timedelta = LEAST_AGE) -> Sequence[Need]:
        """Return what still needs keys that are no longer in front; changes nothing."""
        found: list[Need] = []
        for key, needs in (await self._of_data_keys(least_age)).items():
            async with self._store.unit(key.tenant_id) as unit:
                found += needs or _open(key, await RetiringKey(unit).open_attempts(key.since + _HEARD_WITHIN))
        await self._kek.refresh()
        async with self._store.installation() as unit:
            return [*found, *(await self._of_key_encryption_keys(unit))[1]]

    async def retire(self, least_age: timedelta = LEAST_AGE) -> Retired:
        """Delete data keys that nothing needs, then remove key-encryption keys that nothing needs from the key file.

        Args:
            least_age: how long a data key must have been superseded: longer than any request or transaction takes.
        """
        gone: list[str] = []
        needs: list[Need] = []
        for key, seen in (await self._of_data_keys(least_age)).items():
            of_key = seen or await self._removed(key)
            needs += of_key
            if not of_key:
                gone.append(key.id)
        await self._kek.refresh()
        async with self._store.installation(writes=True) as unit:
            await KeyRotations(unit).hold()
            unused, of_keks = await self._of_key_encryption_keys(unit)
            removed = self._removed_from_file(unused)
            for kek_id in removed:
                await AuditLog(unit).append(operator(), "keys.retire", ("key", kek_id), "allowed")
        return Retired(gone, removed, [each for each in unused if each not in removed], [*needs, *of_keks])

    async def _of_data_keys(self, least_age: timedelta) -> Mapping[SupersededKey, list[Need]]:
        """Return superseded data keys with what is seen to need them without waiting for anybody."""
        async with self._store.installation() as unit:
            superseded = await KeyRotations(unit).superseded()
            values = await SupersededValues(unit).count() if superseded else {}
            running = await Processes(unit).list() if superseded else []
        spooled: dict[str, int] = {}
        for answer in self._spool.all() if superseded else ():
            try:
                key_id = key_id_of(answer.sealed)
            except DecryptionFailed:
                continue
            spooled[key_id] = spooled.get(key_id, 0) + 1
        here, now = socket.gethostname(), self._store.clock()
        elsewhere = [
            (f"process {each.pid} on {each.host}", count)
            for each in running
            if (count := each.state.answers_in_memory + (each.state.answers_spooled if each.host != here else 0))
        ]
        found: dict[SupersededKey, list[Need]] = {}
        for key in superseded:
            of_key = found.setdefault(key, [])
            of_key += [
                Need("data_key", key.id, key.tenant_id, "values", table, counts[key.id])
                for table, counts in values.items()
                if key.id in counts
            ]
            if key.id in spooled:
                of_key.append(
                    Need("data_key", key.id, key.tenant_id, "spool", str(self._spool.folder), spooled[key.id])
                )
            of_key += [Need("data_key", key.id, key.tenant_id, "process", where, count) for where, count in elsewhere]
            if now - key.since < least_age:
                left = int((least_age - (now - key.since)).total_seconds()) + 1
                of_key.append(Need("data_key", key.id, key.tenant_id, "age", "seconds left", left))
        return found

    async def _removed(self, key: SupersededKey) -> list[Need]:
        """Delete a data key, if nothing needs it by now; return what does."""
        async with self._store.unit(key.tenant_id, writes=True) as unit:
            retiring = RetiringKey(unit)
            if not await retiring.lock(key.id):
                return []
            counts = await Resealing(unit).count_under(key.id)
            needs = [Need("data_key", key.id, key.tenant_id, "values", table, n) for table, n in counts.items()]
            needs += _open(key, await retiring.open_attempts(key.since + _HEARD_WITHIN))
            if not needs:
                await retiring.remove(key.id)
                target = ("key", key.id)
                await AuditLog(unit.of_installation()).append(operator(), "keys.retire", target, "allowed")
        return needs

    async def _of_key_encryption_keys(self, unit: Unit) -> tuple[Sequence[str], Sequence[Need]]:
        """Return key-encryption keys at hand that nothing needs, and what needs the others but the current one."""
        versions = {each.id: each.data_keys for each in await DataKeyList(unit).versions()}
        rotation = await KeyRotations(unit).under_way()
        running = [each for each in await Processes(unit).list() if not each.is_silent]
        current, unused, needs = self._kek.current, [], []
        others = [known for known in self._kek.ids if not unwraps([known], current)]
        others += [kek_id for kek_id in versions if kek_id != current and kek_id not in others]
        for known in others:
            of_key = [
                Need("key_encryption_key", known, None, "data_keys", "data_keys", count)
                for kek_id, count in versions.items()
                if unwraps([known], kek_id)
            ]
            of_key += [
                Need("key_encryption_key", known, None, "process", f"process {each.pid} on {each.host}", 1)
                for each in running
                if unwraps([known], each.state.wraps_with)
            ]
            if rotation is not None and unwraps([known], rotation.kek_id):
                of_key.append(Need("key_encryption_key", known, None, "rotation", rotation.id, 1))
            needs += of_key
            if not of_key:
                unused.append(known)
        return unused, needs

    def _removed_from_file(self, unused: Sequence[str]) -> Sequence[str]:
        if self._key_file is None or not unused:
            return []
        keys = {local.fingerprint(key): key for key in local.read_keys(self._key_file)}
        removed = [kek_id for kek_id in keys if kek_id in unused]
        if removed and len(removed) < len(keys):
            local.write_keys(self._key_file, [key for kek_id, key in keys.items() if kek_id not in removed])
            return removed
        return []


def _open(key: SupersededKey, requests: int) -> list[Need]:
    if not requests:
        return []
    where = "the installation" if key.tenant_id == INSTALLATION else f"tenant {key.tenant_id}"
    return [Need("data_key", key.id, key.tenant_id, "open_requests", where, requests)]
