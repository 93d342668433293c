"""Tells how the installation's keys stand: sources, what is wrapped with what, what is left of an exchange."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keyrack.crypto.kek import KeyEncryptionKey, unwraps
from keyrack.crypto.kek.chain import KeyChain
from keyrack.errors import ConfigurationError, KeyServiceUnavailable
from keyrack.model.operations import RunningProcess
from keyrack.service.operator.key_retirement import KeyRetirement, Need
from keyrack.store.core.store import Store
from keyrack.store.data_key_list import DataKeyList, KeyVersion
from keyrack.store.key_rotations import KeyAges, KeyRotations, Rotation
from keyrack.store.processes import Processes
from keyrack.store.resealing import SupersededValues


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A key source.

    Attributes:
        name: as it is set.
        ids: ids of its keys, or the name of its key.
        wraps: whether new data keys are wrapped with it.
        fault: why it cannot be used now; None: it can.
    """

    name: str
    ids: Sequence[str]
    wraps: bool
    fault: str | None


@dataclass(frozen=True, slots=True)
class KeyReport:
    """How keys stand.

    Attributes:
        sources: in order.
        current: the id of the key-encryption key that wraps.
        versions: key-encryption keys that data keys are wrapped with.
        ages: how old keys are.
        rotation: the exchange that has begun and not ended.
        superseded: data keys that are not their owner's newest.
        values_left: values under those, by table.
        needs: what still needs old keys.
        processes: that run.
    """

    sources: Sequence[SourceStatus]
    current: str
    versions: Sequence[KeyVersion]
    ages: KeyAges
    rotation: Rotation | None
    superseded: int
    values_left: Mapping[str, int]
    needs: Sequence[Need]
    processes: Sequence[RunningProcess]

    def can_unwrap(self, process: RunningProcess) -> bool:
        """Tell whether a process can unwrap with the current key."""
        return unwraps(process.state.keys, self.current)


async def key_report(store: Store, kek: KeyChain, names: Sequence[str], retirement: KeyRetirement) -> KeyReport:
    """Look at all sources and at the whole database; changes nothing.

    Args:
        store: all data.
        kek: the key sources in force.
        names: their names, in order.
        retirement: knows what needs old keys.
    """
    sources = [
        SourceStatus(name, source.ids, index == 0, await _fault(source))
        for index, (name, source) in enumerate(zip(names, kek.sources, strict=True))
    ]
    async with store.installation() as unit:
        rotations = KeyRotations(unit)
        values = await SupersededValues(unit).count()
        superseded, rotation = await rotations.superseded(), await rotations.under_way()
        ages, versions = await rotations.ages(kek.current), await DataKeyList(unit).versions()
        processes = [each for each in await Processes(unit).list() if not each.is_silent]
    needs: Sequence[Need] = ()
    if sources[0].fault is None:
        needs = await retirement.needs()
    left = {table: sum(counts.values()) for table, counts in values.items()}
    return KeyReport(sources, kek.current, versions, ages, rotation, len(superseded), left, needs, processes)


async def _fault(source: KeyEncryptionKey) -> str | None:
    try:
        await source.refresh()
    except (ConfigurationError, KeyServiceUnavailable) as fault:
        return "; ".join(fault.for_operators)
    return None
