"""The installation's own row, which proves that the key is the one everything is encrypted with."""

from sqlalchemy import select

from keyrack.crypto.envelope import DecryptionFailed
from keyrack.errors import WrongKey
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit, insert_row
from keyrack.store.schema import installation

_ROW = "1"
_KNOWN = "keyrack"

_CHECK = Query(select(installation.c.sealed_check))


class Installation:
    """The single row of `installation`; from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def create(self) -> None:
        """Give the installation its data key and a known value sealed with it.

        Raises:
            AlreadyExists: another process was first.
        """
        await self._unit.keyring.create_key(self._unit.connection, self._unit.tenant_id)
        sealed = await self._unit.seal(installation, _ROW, "sealed_check", _KNOWN)
        row = {"id": int(_ROW), "sealed_check": sealed, "created_at": self._unit.clock()}
        await insert_row(self._unit.connection, installation, row)

    async def opens(self) -> bool:
        """Tell whether the known value opens with the key at hand."""
        (row,) = await _CHECK.rows(self._unit.connection)
        try:
            return bool(await self._unit.open(installation, _ROW, "sealed_check", row.sealed_check) == _KNOWN)
        except (WrongKey, DecryptionFailed):
            return False
