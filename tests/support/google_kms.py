"""What Google Cloud KMS answers to its client over REST, and whether the client asked as Google's documentation has it.

It has keys with versions, encrypts with AES-256-GCM bound to the authenticated data, and takes calls only with a token
that the service account's key has signed (https://cloud.google.com/kms/docs/reference/rest).
"""

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

ACCOUNT = "keyrack@project.iam.gserviceaccount.com"


@dataclass
class GoogleKms:
    """A fake Cloud KMS.

    Attributes:
        base: its address.
        key: with which the service account signs.
        versions: key material by key, the last is the primary version; None: that version is destroyed.
        calls: what was asked: path and body.
        refusals: what was wrong with calls.
        answers: what is answered instead: status and Google's word for it.
    """

    base: str
    key: rsa.RSAPrivateKey
    versions: dict[str, list[bytes | None]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    answers: tuple[int, str] | None = None

    def credentials(self, path: Path) -> Path:
        """Write the file that GOOGLE_APPLICATION_CREDENTIALS is to name."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": ACCOUNT,
            "token_uri": f"{self.base}/token",
        }
        path.write_text(json.dumps(account))
        return path

    def answer(self, path: str, authorization: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a call."""
        self.calls.append((path, body))
        if not self._is_ours(authorization):
            return _error(401, "UNAUTHENTICATED")
        if self.answers is not None:
            return _error(*self.answers)
        name, _, verb = path.removeprefix("/v1/").rpartition(":")
        members = {"encrypt": "plaintext", "decrypt": "ciphertext"}
        if verb not in members or set(body) != {members[verb], "additionalAuthenticatedData"}:
            self.refusals.append(f"{verb} with {sorted(body)}")
            return _error(400, "INVALID_ARGUMENT")
        material = self.versions.get(name)
        if material is None:
            return _error(404, "NOT_FOUND")
        given, aad = base64.b64decode(body[members[verb]]), base64.b64decode(body["additionalAuthenticatedData"])
        return _encrypted(name, material, given, aad) if verb == "encrypt" else _decrypted(material, given, aad)

    def _is_ours(self, authorization: str) -> bool:
        """Tell whether a call has a token that the service account has signed."""
        try:
            token = jwt.decode(authorization.removeprefix("Bearer "), RSAKey.import_key(self.key.public_key()))
        except (JoseError, ValueError):
            self.refusals.append("no token that the service account has signed")
            return False
        if token.claims.get("iss") != ACCOUNT:
            self.refusals.append("a token of somebody else")
            return False
        return True


def _encrypted(name: str, material: list[bytes | None], clear: bytes, aad: bytes) -> tuple[int, dict[str, Any]]:
    number, nonce = len(material), os.urandom(12)
    sealed = AESGCM(material[-1] or b"").encrypt(nonce, clear, aad)
    ciphertext = base64.b64encode(bytes([number]) + nonce + sealed).decode()
    return 200, {"name": f"{name}/cryptoKeyVersions/{number}", "ciphertext": ciphertext}


def _decrypted(material: list[bytes | None], sealed: bytes, aad: bytes) -> tuple[int, dict[str, Any]]:
    if sealed[0] > len(material):
        return _error(400, "INVALID_ARGUMENT")
    with_key = material[sealed[0] - 1]
    if with_key is None:
        return _error(400, "FAILED_PRECONDITION")
    try:
        clear = AESGCM(with_key).decrypt(sealed[1:13], sealed[13:], aad)
    except InvalidTag:
        return _error(400, "INVALID_ARGUMENT")
    return 200, {"plaintext": base64.b64encode(clear).decode()}


def _error(status: int, word: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": status, "status": word, "message": "canary: details of the refusal"}}


@contextmanager
def google_kms() -> Iterator[GoogleKms]:
    """Serve a fake Cloud KMS until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = made.answer(urlsplit(self.path).path, self.headers.get("authorization", ""), body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    key = rsa.generate_private_key(65537, 2048)
    made = GoogleKms(f"http://127.0.0.1:{server.server_address[1]}", key)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
