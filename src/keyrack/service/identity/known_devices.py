"""Remembers browsers in which somebody has signed in, so that what others guess elsewhere does not hold them up.

A browser keeps a sealed note for one account. It lets nobody in; it only has its own count of wrong passwords (decision
29; what OWASP calls a device cookie).
"""

import base64
import binascii
import hashlib
import json
import secrets
from datetime import datetime, timedelta

from keyrack.clock import iso
from keyrack.crypto.envelope import DecryptionFailed, EncryptionContext
from keyrack.crypto.secret import Secret
from keyrack.errors import WrongKey
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store

KNOWN_FOR = timedelta(days=180)
"""After the last sign-in."""
_LONGEST = 400


class KnownDevices:
    """Notes are sealed with the installation's data key, each for one account: in another's place it does not open."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def remember(self, account: str, device: str | None) -> Secret:
        """Return the note that a browser is to keep.

        Args:
            account: whose sign-in it was: the key of the email, or the name.
            device: the browser, if it was known already.
        """
        ends = self._store.clock() + KNOWN_FOR
        clear = json.dumps({"device": device or secrets.token_hex(16), "ends": iso(ends)}).encode()
        async with self._store.installation() as unit:
            sealed = await unit.keyring.seal(unit.connection, _place(account), clear)
        return Secret(base64.urlsafe_b64encode(sealed).rstrip(b"=").decode())

    async def known(self, account: str, note: Secret) -> str | None:
        """Return which browser it is if it is known for an account, else None.

        Args:
            account: for which somebody tries to sign in.
            note: what the browser sends.
        """
        text = note.reveal()
        if len(text) > _LONGEST:
            return None
        try:
            sealed = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
            async with self._store.installation() as unit:
                clear = json.loads(await unit.keyring.open(unit.connection, _place(account), sealed))
        except (binascii.Error, ValueError, DecryptionFailed, WrongKey):
            return None
        is_good = datetime.fromisoformat(clear["ends"]) > self._store.clock()
        return str(clear["device"]) if is_good else None


def _place(account: str) -> EncryptionContext:
    hashed = hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()
    return EncryptionContext(INSTALLATION, "known_devices", hashed, "note")
