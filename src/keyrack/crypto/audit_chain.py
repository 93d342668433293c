"""Records of the audit chain: their canonical form, their hashes and their signatures (docs/audit.md).

A record is a JSON object whose values are texts, whole numbers and null. Its canonical form is RFC 8785's (JCS), which
for such objects is: names in order, no white space, texts in UTF-8 with nothing escaped that need not be.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT = "keyrack-audit/1"
BEFORE_THE_FIRST = bytes(32)
"""Stands where the hash of an entry before the first one would."""
_ID_DIGITS = 24

Record = Mapping[str, str | int | None]


def canonical(record: Record) -> bytes:
    """Return the canonical form of a record (RFC 8785)."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def record_hash(record: Record) -> bytes:
    """Return the SHA-256 hash of the canonical form of a record: 32 bytes."""
    return hashlib.sha256(canonical(record)).digest()


def key_id_of(public: bytes) -> str:
    """Return the id of a public key: the first 24 hexadecimal digits of its SHA-256 hash."""
    return hashlib.sha256(public).hexdigest()[:_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class AuditKey:
    """A key that signs checkpoints (Ed25519, RFC 8032).

    Attributes:
        id: of its public half, see `key_id_of`.
        public: 32 bytes.
    """

    id: str
    public: bytes
    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> "AuditKey":
        """Make a new key."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, private: bytes) -> "AuditKey":
        """Return the key whose private half is 32 bytes that `private_bytes` has returned."""
        return cls._of(Ed25519PrivateKey.from_private_bytes(private))

    @classmethod
    def _of(cls, private: Ed25519PrivateKey) -> "AuditKey":
        public = private.public_key().public_bytes_raw()
        return cls(key_id_of(public), public, private)

    def private_bytes(self) -> bytes:
        """Return the private half: 32 bytes, to be sealed."""
        return self._private.private_bytes_raw()

    def sign(self, record: Record) -> bytes:
        """Sign the canonical form of a record: 64 bytes."""
        return self._private.sign(canonical(record))


def is_signed(record: Record, signature: bytes, public: bytes) -> bool:
    """Tell whether a signature over a record is that of a public key; whatever is none is not."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, canonical(record))
    except (InvalidSignature, ValueError):
        return False
    return True
