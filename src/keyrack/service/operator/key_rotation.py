"""Exchanges keys on both layers while everything goes on: key-encryption keys, and each tenant's data key.

Every step is small, is committed by itself and can be done twice, so an exchange that was killed goes on where it was.
Old keys stay where they are until they are retired (`key_retirement`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from keyrack.crypto.kek import local, unwraps
from keyrack.crypto.kek.chain import KeyChain
from keyrack.errors import ConfigurationError, StateConflict, WrongKey
from keyrack.model.operations import RunningProcess
from keyrack.service.authz.operator import operator
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.key_rotations import KeyRotations, Owner, Rotation
from keyrack.store.processes import Processes
from keyrack.store.resealing import Resealing, SupersededValues
from keyrack.store.tenants import TenantRows

ROWS_AT_ONCE = 50
"""Values that one transaction encrypts anew."""
_KEYS_AT_ONCE = 100
_LEARNT_WITHIN = 30.0
"""Seconds for which processes are given to take note of a new key; they look every few seconds."""
_ROUNDS = 20
_BETWEEN_ROUNDS = 1.0
"""Seconds after which every process encrypts with a new data key."""

Sleep = Callable[[float], Awaitable[object]]


class Progress(Protocol):
    """Is told how far something is."""

    def section(self, doing: str, name: str, total: int) -> None:
        """Begin with a section of so many things."""

    def advance(self, count: int) -> None:
        """So many more are done."""


@dataclass(slots=True)
class Exchanged:
    """What was done by one run.

    Attributes:
        kek_id: the key-encryption key that wraps now.
        rewrapped: data keys that were wrapped anew.
        not_unwrapped: data keys that no source at hand can unwrap; they stay as they are.
        new_data_keys: data keys that were made.
        resealed: values that were encrypted anew.
        unreadable: values that cannot be opened with any key there is; they stay as they are.
        left: values under superseded data keys, by table.
    """

    kek_id: str = ""
    rewrapped: int = 0
    not_unwrapped: int = 0
    new_data_keys: int = 0
    resealed: int = 0
    unreadable: int = 0
    left: dict[str, int] = field(default_factory=dict)


class KeyRotation:
    """For whoever works on the machine itself.

    Args:
        store: all data.
        kek: the key sources in force, as the store's keyring has them.
        key_file: the key file, if the first source is one; a new key is put into it.
        sleep: waits for some seconds.
    """

    def __init__(self, store: Store, kek: KeyChain, key_file: Path | None, sleep: Sleep = asyncio.sleep) -> None:
        self._store = store
        self._kek = kek
        self._key_file = key_file
        self._sleep = sleep

    async def rotate(self, progress: Progress, *, data_keys_only: bool = False) -> Exchanged:
        """Put a new key-encryption key in front, wrap all data keys with it, exchange data keys, encrypt values anew.

        An exchange that was begun before is carried on instead.

        Args:
            progress: is told how far it is.
            data_keys_only: leave the key-encryption key as it is.

        Raises:
            StateConflict: a process that is running cannot use the new key-encryption key yet.
            ConfigurationError: the key file cannot be written, or lacks the key of an exchange that was begun.
            WrongKey: the key sources are those of another installation; nothing was changed.
            KeyServiceUnavailable: a key service does not answer, or refuses; run it again.
        """
        done = Exchanged()
        rotation = await self._begun(data_keys_only=data_keys_only)
        await self._put_in_front(rotation)
        await self._rewrap(done, progress)
        await self._exchange(rotation, done, progress)
        await self._rewrap(done, progress)  # data keys of tenants that came while others still had the old key in front
        async with self._store.installation(writes=True) as unit:
            await KeyRotations(unit).end()
            await AuditLog(unit).append(operator(), "keys.rotate", ("key", rotation.kek_id), "allowed")
        return done

    async def rewrap(self, progress: Progress) -> Exchanged:
        """Wrap all data keys with the key-encryption key that is in front, and change nothing else.

        Raises:
            StateConflict: a process that is running cannot use that key yet.
            WrongKey: the key sources are those of another installation; nothing was changed.
            KeyServiceUnavailable: a key service does not answer, or refuses; run it again.
        """
        done = Exchanged()
        await self._require_right_keys()
        await self._require_known(self._kek.current)
        await self._rewrap(done, progress)
        async with self._store.installation(writes=True) as unit:
            await AuditLog(unit).append(operator(), "keys.rewrap", ("key", done.kek_id), "allowed")
        return done

    async def _require_right_keys(self) -> None:
        """Insist that the key sources at hand are this installation's, before anything is wrapped with them.

        Raises:
            WrongKey: they are not.
        """
        await self._kek.refresh()
        async with self._store.installation() as unit:
            rows = await unit.keyring.look(unit.connection, INSTALLATION)
        await self._store.keyring.require_unwrapping(rows[:1], INSTALLATION)

    async def _begun(self, *, data_keys_only: bool) -> Rotation:
        await self._require_right_keys()
        async with self._store.installation(writes=True) as unit:
            await KeyRotations(unit).hold()
            rotation = await KeyRotations(unit).under_way()
            if rotation is None:
                kek_id = self._kek.current
                if self._key_file is not None and not data_keys_only:
                    key = local.new_key()  # behind the others: it wraps nothing before every process can unwrap with it
                    local.write_keys(self._key_file, [*local.read_keys(self._key_file), key])
                    kek_id = local.fingerprint(key)
                rotation = await KeyRotations(unit).begin(kek_id)
                await AuditLog(unit).append(operator(), "keys.rotate-begin", ("key", kek_id), "allowed")
        await self._kek.refresh(services=False)
        return rotation

    async def _put_in_front(self, rotation: Rotation) -> None:
        if not unwraps(self._kek.ids, rotation.kek_id):
            raise ConfigurationError(
                f"the exchange that was begun is to {rotation.kek_id}, which is no key of KEYRACK_KEY_SOURCES here"
            )
        await self._require_known(rotation.kek_id)
        if self._key_file is None:
            return
        async with self._store.installation(writes=True) as unit:
            await KeyRotations(unit).hold()
            keys = {local.fingerprint(key): key for key in local.read_keys(self._key_file)}
            chosen = keys.pop(rotation.kek_id, None)
            if chosen is not None and self._kek.current != rotation.kek_id:
                local.write_keys(self._key_file, [chosen, *keys.values()])
        await self._kek.refresh(services=False)

    async def _require_known(self, kek_id: str) -> None:
        """Wait until every process that runs can unwrap with a key.

        Raises:
            StateConflict: one cannot.
        """
        deadline = time.monotonic() + _LEARNT_WITHIN
        while True:
            async with self._store.installation() as unit:
                running = [each for each in await Processes(unit).list() if not each.is_silent]
            without = [each for each in running if not unwraps(each.state.keys, kek_id)]
            if not without:
                return
            if time.monotonic() > deadline:
                raise StateConflict(
                    f"{_named(without)} cannot use the key {kek_id} yet; give each machine the same key sources"
                    " (with a key file: copy the file), then run this again; it goes on from here"
                )
            await self._sleep(_BETWEEN_ROUNDS)

    async def _rewrap(self, done: Exchanged, progress: Progress) -> None:
        done.kek_id = current = self._kek.current
        done.not_unwrapped = 0
        async with self._store.installation() as unit:
            progress.section("wrap", "data keys", await KeyRotations(unit).count_under_others(current))
        last = ""
        while True:
            async with self._store.installation() as unit:
                rows = await KeyRotations(unit).under_others(current, last, _KEYS_AT_ONCE)
            if not rows:
                return
            wrapped = []
            for row in rows:
                try:
                    wrapped.append((row, await self._store.keyring.rewrapped(row, row.tenant_id)))
                except WrongKey:  # of no source at hand; what needs it is told by the status
                    done.not_unwrapped += 1
            async with self._store.installation(writes=True) as unit:
                rotations = KeyRotations(unit)
                for row, (kek_id, after) in wrapped:
                    done.rewrapped += await rotations.rewrap(row.id, row.wrapped, kek_id, after)
            progress.advance(len(rows))
            last = rows[-1].id

    async def _exchange(self, rotation: Rotation, done: Exchanged, progress: Progress) -> None:
        """Give every owner a new data key, and encrypt its values with it, one owner after the other."""
        async with self._store.installation() as unit:
            progress.section("encrypt anew", "tenants", await KeyRotations(unit).count_owners())
        last: str | None = None
        while owners := await self._owners(last):
            for owner in owners:
                await self._exchange_of(owner, rotation, done)
                progress.advance(1)
            last = owners[-1].tenant_id
            if last == INSTALLATION:
                break  # there is no tenant
        for _ in range(_ROUNDS):  # what was stored meanwhile by those who had not heard yet
            done.left = await self._left()
            if not done.left:
                return
            await self._sleep(_BETWEEN_ROUNDS)
            before = done.resealed
            done.unreadable = 0
            for tenant_id in await self._with_superseded():
                await self._reseal(tenant_id, done)
            if done.resealed == before and done.unreadable:
                break
        done.left = await self._left()

    async def _owners(self, last: str | None) -> Sequence[Owner]:
        async with self._store.installation() as unit:
            return await KeyRotations(unit).owners(last, _KEYS_AT_ONCE)

    async def _exchange_of(self, owner: Owner, rotation: Rotation, done: Exchanged) -> None:
        if owner.created_at < rotation.started_at:
            key = await self._store.keyring.make_key(owner.tenant_id)
            async with self._store.unit(owner.tenant_id, writes=True) as unit:
                if owner.tenant_id != INSTALLATION and not await TenantRows(unit).hold():
                    return  # deleted; who is shredding it is waited for
                rows = await unit.keyring.look(unit.connection, owner.tenant_id)
                if not rows or rows[0].id != owner.newest:  # destroyed, or exchanged by somebody else
                    return
                await unit.keyring.add_key(unit.connection, key)
            done.new_data_keys += 1
        await self._reseal(owner.tenant_id, done)

    async def _reseal(self, tenant_id: str, done: Exchanged) -> None:
        async with self._store.unit(tenant_id) as unit:
            rows = await unit.keyring.look(unit.connection, tenant_id)
            tables = Resealing(unit).tables
        if len(rows) < 2:  # noqa: PLR2004 - one key: there is nothing to exchange
            return
        newest = rows[0].id
        for table in tables:
            last: str | int | None = None
            while True:
                began = time.monotonic()
                async with self._store.unit(tenant_id, writes=True) as unit:
                    batch = await Resealing(unit).batch(table, newest, last, ROWS_AT_ONCE)
                done.resealed += batch.resealed
                done.unreadable += batch.unreadable
                if batch.resealed or batch.unreadable:
                    await self._sleep(time.monotonic() - began)  # at most half of the writers' time is ours
                if batch.last is None:
                    break
                last = batch.last

    async def _left(self) -> dict[str, int]:
        async with self._store.installation() as unit:
            found = await SupersededValues(unit).count()
        return {table: sum(counts.values()) for table, counts in found.items()}

    async def _with_superseded(self) -> Sequence[str]:
        async with self._store.installation() as unit:
            return sorted({key.tenant_id for key in await KeyRotations(unit).superseded()})


def _named(processes: Sequence[RunningProcess]) -> str:
    return ", ".join(f"process {each.pid} on {each.host}" for each in processes)
