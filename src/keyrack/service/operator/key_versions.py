"""Tells under which key-encryption keys the tenants' data keys are kept, for the operator."""

from collections.abc import Sequence
from dataclasses import dataclass

from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.service.operator.permissions import SEE_TENANTS, require_operator
from keyrack.service.operator.recent_answer import RecentAnswer
from keyrack.store.core.store import Store
from keyrack.store.data_key_list import DataKeyList, KeyVersion, ListedDataKey


@dataclass(frozen=True, slots=True)
class KeysInUse:
    """The key-encryption keys that data keys are kept under.

    Attributes:
        versions: those in use, the one that a data key was made under last first.
        current: the id of the one that this process makes data keys under.
    """

    versions: Sequence[KeyVersion]
    current: str

    @property
    def data_keys(self) -> int:
        """All data keys."""
        return sum(version.data_keys for version in self.versions)

    @property
    def under_others(self) -> int:
        """Data keys that are not kept under the current one."""
        return sum(version.data_keys for version in self.versions if version.id != self.current)


class KeyVersions:
    """Data keys of the whole installation; nothing is unwrapped or shown."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access
        self._versions = RecentAnswer(self._counted)

    async def in_use(self, who: Principal) -> KeysInUse:
        """Return the key-encryption keys in use, as of some seconds ago.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope)
        return await self._versions.get()

    async def page(self, who: Principal, version: str, *, limit: int, offset: int) -> Sequence[ListedDataKey]:
        """List a page of the data keys under a key-encryption key.

        Raises:
            Forbidden: the caller may not watch the installation, or not see tenants.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope, SEE_TENANTS)
            return await DataKeyList(scope.unit).page(version, limit=limit, offset=offset)

    async def _counted(self) -> KeysInUse:
        async with self._store.installation() as unit:
            return KeysInUse(await DataKeyList(unit).versions(), self._store.keyring.kek_id)
