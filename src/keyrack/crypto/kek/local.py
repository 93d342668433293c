"""Key-encryption keys from the environment or from a file that only its owner can read."""

import base64
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyrack.crypto.envelope import KEY_BYTES
from keyrack.errors import ConfigurationError, WrongKey
from keyrack.settings import Settings

_NONCE_BYTES = 12
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class LocalKeys:
    """One or more 256-bit keys held in memory: the first wraps, all unwrap, so a new one can be put in front."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ConfigurationError("a key-encryption key is 32 bytes in base64")
        self._keys = {_fingerprint(key): AESGCM(key) for key in keys}
        self._current = _fingerprint(keys[0])

    @property
    def current(self) -> str:
        """The id of the key that wraps, made of the key."""
        return self._current

    async def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key with the first key."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._current, nonce + self._keys[self._current].encrypt(nonce, material, context)

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key with the key that wrapped it.

        Raises:
            WrongKey: that key is not among these, or the bytes are damaged.
        """
        try:
            return self._keys[kek_id].decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (KeyError, InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise WrongKey from None


def load_keys(settings: Settings) -> LocalKeys:
    """Read the key-encryption keys: `KEYRACK_KEY` when set, else the key file.

    Raises:
        ConfigurationError: there is none, it is malformed, or others may read the file.
    """
    if settings.key is not None:
        return LocalKeys(_parse(settings.key.reveal().split(","), "KEYRACK_KEY"))
    path = settings.effective_key_file
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii")
    except FileNotFoundError:
        raise WrongKey(f"there is no key file {path}; `keyrack bootstrap` makes one on an empty database") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"the key file {path} cannot be read") from None
    if mode & _OPEN_TO_OTHERS:
        raise ConfigurationError(f"the key file {path} can be read by others; run: chmod 600 {path}")
    return LocalKeys(_parse(text.split(), f"the key file {path}"))


def generate(path: Path) -> bool:
    """Create a key file with a fresh key, readable by its owner alone (mode 0600); an existing one is left as it is.

    Returns:
        True if a file was made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails if another process was first: its key stands
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _parse(texts: Sequence[str], where: str) -> list[bytes]:
    try:
        keys = [base64.b64decode(text.strip(), validate=True) for text in texts if text.strip()]
    except ValueError:  # also what `binascii.Error` is; not ASCII is a plain one
        raise ConfigurationError(f"{where} is not base64") from None
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ConfigurationError(f"{where} must hold keys of 32 bytes in base64")
    return keys


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"keyrack key-encryption key" + key).hexdigest()[:16]
