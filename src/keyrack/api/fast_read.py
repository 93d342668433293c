"""`GET /v2/workspaces/{W}/secrets/{S}` in front of the framework: the plain 200, and only that.

Whatever is not plain (another address, a query, a body, an `Accept` that does not fit, a refusal, a secret that is due
or in error) is left to the framework, which answers this route by itself too. What is answered here equals its answer
byte for byte, because both are made by the same functions; a test compares them.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from keyrack.api.core.accept import require_json_acceptable
from keyrack.api.core.arrival import basic_credentials
from keyrack.api.core.asgi import Scope, Send
from keyrack.api.core.jsonapi import Single
from keyrack.api.secret_documents import secret_resource
from keyrack.crypto.secret import Secret
from keyrack.errors import NotAcceptable
from keyrack.model.identity import Principal
from keyrack.service.identity.principal_cache import Reader
from keyrack.service.secrets.fast_read import FastReads
from keyrack.service.secrets.secrets import SecretView
from keyrack.short_memory import ShortMemory
from keyrack.store.secret_reader import SecretLocation

_PATH = re.compile(r"/v2/workspaces/([0-9a-f]{24})/secrets/([0-9a-f]{24})")
PATH_TEMPLATE = "/v2/workspaces/{workspace_id}/secrets/{secret_id}"
"""What the framework calls this route, for the metrics."""
_encode = msgspec.json.Encoder().encode


class FastRead:
    """Answers what is plain."""

    def __init__(self, reads: FastReads) -> None:
        self._reads = reads
        self._documents: ShortMemory[str, tuple[SecretView, bytes]] = ShortMemory()

    def asked(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[str, str] | None:
        """Return the ids of workspace and secret that a request reads; None if it is not a plain one of this route."""
        if not self._reads.is_open or scope["method"] != "GET" or scope["query_string"]:
            return None
        found = _PATH.fullmatch(scope["path"])
        if found is None or b"content-length" in headers or b"transfer-encoding" in headers:
            return None
        if b"accept" in headers:
            try:
                accept = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
                require_json_acceptable(accept)
            except NotAcceptable:
                return None
        return found[1], found[2]

    async def principal(self, name: str, api_key: Secret) -> Principal | None:
        """Return the caller, if who it is can be said here; see `PrincipalCache.principal`."""
        return await self._reads.callers.principal(name, api_key)

    async def answer(self, who: Principal, address: str | None, workspace_id: str, secret_id: str, send: Send) -> bool:
        """Answer 200, if that is the answer; tell whether it was."""
        view = await self._reads.find(who, address, workspace_id, secret_id)
        if view is None:
            return False
        body = self.document(view)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return True

    def reader(self, authorization: bytes, workspace_id: str) -> Reader | None:
        """Return who reads in which tenant, if that is remembered; see `PrincipalCache.reader`."""
        return self._reads.callers.reader(authorization, workspace_id, basic_credentials)

    def ask(
        self, who: Principal, address: str | None, place: SecretLocation, heard: Callable[[bytes | None], None]
    ) -> None:
        """Have somebody told later the document of a secret; None: it is not plain."""
        self._reads.ask(who, address, place, lambda view: heard(None if view is None else self.document(view)))

    def document(self, view: SecretView) -> bytes:
        """Return a secret's document, made once for all who are answered with the same reading of the same row."""
        known = self._documents.get(view.secret.id)
        if known is not None and known[0].secret is view.secret and known[0].status == view.status:
            return known[1]
        document: Single[Any] = Single(secret_resource(view))
        body = _encode(document)
        self._documents.keep(view.secret.id, (view, body))
        return body
