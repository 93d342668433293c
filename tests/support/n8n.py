"""Makes what `n8n export:credentials` writes, in its shape; nothing of it was copied."""

import hashlib
import json
import os
from base64 import b64encode
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

KEY = "k3y-of-the-instance"


def sealed(clear: Any, key: str = KEY) -> str:
    """Encrypt as n8n does."""
    salt, hashes = os.urandom(8), [b""]
    for _ in range(3):
        hashes.append(hashlib.md5(hashes[-1] + key.encode() + salt, usedforsecurity=False).digest())
    padder = PKCS7(128).padder()
    padded = padder.update(json.dumps(clear).encode()) + padder.finalize()
    sealer = Cipher(AES(hashes[1] + hashes[2]), CBC(hashes[3])).encryptor()
    return b64encode(b"Salted__" + salt + sealer.update(padded) + sealer.finalize()).decode()


def credential(number: int = 1, kind: str = "slackOAuth2Api", at: str = "08", **data: Any) -> dict[str, Any]:
    """Return a credential as `n8n export:credentials --decrypted` writes it."""
    tokens = {
        "access_token": f"at-{number}",
        "refresh_token": f"rt-{number}",
        "expires_in": 43200,
        "scope": "chat:write",
    }
    answer = {**tokens, "token_type": "bearer", "team": {"id": "T1"}, "callbackQueryString": {"state": "s"}}
    return {
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": f"2026-11-30T{at}:00:00.000Z", "id": f"n8n{number}",
        "name": f"Slack {number}", "type": kind, "isManaged": False,
        "data": {"clientId": "id-1", "clientSecret": "cs-1", "oauthTokenData": answer, **data},
    }  # fmt: skip
