"""The installation's own row, which proves that the key is the one everything is encrypted with."""

import base64

from sqlalchemy import bindparam, select, update

from keyrack.crypto.envelope import DecryptionFailed
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit, insert_row
from keyrack.store.schema import installation

_ROW = "1"
_KNOWN = "keyrack"

_FORM_KEY = "sealed_form_key"
_PURPOSE = "keyrack console forms"
_CHECK = Query(select(installation.c.sealed_check))
_STORED_FORM_KEY = Query(select(installation.c.sealed_form_key))
_KEEPING = Change(
    update(installation).where(installation.c.sealed_form_key.is_(None)).values(sealed_form_key=bindparam("sealed"))
)


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
        """Tell whether the known value opens with the key at hand.

        Raises:
            WrongKey: the data key cannot be unwrapped.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        (row,) = await _CHECK.rows(self._unit.connection)
        try:
            return bool(await self._unit.open(installation, _ROW, "sealed_check", row.sealed_check) == _KNOWN)
        except DecryptionFailed:
            return False

    async def form_key(self) -> bytes | None:
        """Return the key of the console's forms; None if none was made yet.

        Raises:
            WrongKey: the installation's data key cannot be unwrapped.
        """
        rows = await _STORED_FORM_KEY.rows(self._unit.connection)
        if not rows or rows[0].sealed_form_key is None:
            return None
        return base64.b64decode(await self._unit.open(installation, _ROW, _FORM_KEY, rows[0].sealed_form_key))

    async def make_form_key(self) -> bytes:
        """Store the key of the console's forms, and return it, or the one that another process has stored.

        It is what processes of an older version make of the installation's data key.
        """
        key = await self._unit.keyring.derived(self._unit.connection, INSTALLATION, _PURPOSE)
        sealed = await self._unit.seal(installation, _ROW, _FORM_KEY, base64.b64encode(key).decode())
        await _KEEPING.run(self._unit.connection, sealed=sealed)
        return await self.form_key() or key
