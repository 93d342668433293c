"""Authenticated encryption of one value for one place in the database.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. The associated data names the tenant, table, row and column,
so that a ciphertext moved to another place does not open.
"""

import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keyrack.errors import KeyrackError

KEY_BYTES = 32
_NONCE_BYTES = 12
_ID_BYTES = 12
_VERSION = b"\x01"
_HEADER_BYTES = len(_VERSION) + _ID_BYTES + _NONCE_BYTES


class DecryptionFailed(KeyrackError):
    """A sealed value cannot be opened: wrong key, wrong place, or damaged."""


@dataclass(frozen=True, slots=True)
class EncryptionContext:
    """Where a sealed value lives. `tenant` is empty for what belongs to the whole installation."""

    tenant: str
    table: str
    row: str
    column: str

    def associated_data(self) -> bytes:
        """Return an encoding in which no two places are equal: each part is preceded by its length."""
        parts = [part.encode() for part in (self.tenant, self.table, self.row, self.column)]
        return b"".join([len(part).to_bytes(4, "big") + part for part in parts])


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key that seals the values of one tenant.

    Attributes:
        id: 24 hex characters; stands in every envelope, so a value is opened with the key that sealed it.
        tenant: the tenant whose values it seals; empty for the installation.
        material: 32 bytes.
    """

    id: str
    tenant: str
    material: bytes = field(repr=False)
    _cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Set the cipher up once."""
        object.__setattr__(self, "_cipher", AESGCM(self.material))

    def derived(self, purpose: str) -> bytes:
        """Return 32 bytes for another purpose than sealing (HKDF-Expand, RFC 5869), the same each time."""
        return HKDFExpand(SHA256(), KEY_BYTES, purpose.encode()).derive(self.material)

    def seal(self, place: EncryptionContext, clear: bytes) -> bytes:
        """Encrypt `clear` for `place`: version, key id, nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        header = _VERSION + bytes.fromhex(self.id) + nonce
        return header + self._cipher.encrypt(nonce, clear, place.associated_data())

    def open(self, place: EncryptionContext, sealed: bytes) -> bytes:
        """Decrypt what `seal` made for the same place.

        Raises:
            DecryptionFailed: another key, another place, or damaged bytes.
        """
        if key_id_of(sealed) != self.id:
            raise DecryptionFailed
        nonce, body = sealed[_HEADER_BYTES - _NONCE_BYTES : _HEADER_BYTES], sealed[_HEADER_BYTES:]
        try:
            return self._cipher.decrypt(nonce, body, place.associated_data())
        except InvalidTag:
            raise DecryptionFailed from None


def key_id_of(sealed: bytes) -> str:
    """Return the id of the data key an envelope was sealed with.

    Raises:
        DecryptionFailed: it is not an envelope.
    """
    if len(sealed) < _HEADER_BYTES or sealed[:1] != _VERSION:
        raise DecryptionFailed
    return sealed[1 : 1 + _ID_BYTES].hex()
