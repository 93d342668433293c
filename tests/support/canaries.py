"""Recognisable secrets on their way through a served installation, and the places where none may come out."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from support.postgres import PostgresServer
from support.served import Served

_AROUND = 500


class Telling:
    """Calls Keyrack as its first admin; keeps the secrets that went in, and every error that came out."""

    def __init__(self, served: Served, http: httpx2.AsyncClient) -> None:
        self.http, self.first = http, served.first
        self.errors: list[str] = []
        self.planted = [served.admin[1], served.first["service_account"]["api_key"]]

    async def call(self, method: str, path: str, expect: int | None, body: Any = None, **more: Any) -> Any:
        """Send a request; keep the answer if it is an error."""
        if body is not None:
            more["json"] = body
        answer = await self.http.request(method, path, **more)
        assert expect is None or answer.status_code == expect, (method, path, answer.status_code, answer.text)
        if answer.status_code >= 400:
            self.errors.append(str(answer.headers) + answer.text)
        return answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text


def dump(server: PostgresServer, database: str) -> str:
    """Return all rows of all tables as text, bytes in hex."""
    names = server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database).split("\n")
    assert len(names) > 15
    return "\n".join(server.sql(f"SELECT row_to_json(t)::text FROM {name} t", database) for name in names)


def files_under(home: Path, *, but: str) -> str:
    """Return the bytes of all files in a folder, as characters, except those of one name."""
    found = [path for path in sorted(home.rglob("*")) if path.is_file() and path.name != but]
    return "\n".join(path.read_bytes().decode("latin-1") for path in found)


def require_absent(secrets: Iterable[str], looked_through: Mapping[str, str]) -> None:
    """Insist that no secret is in any of the texts, as it is or in one of the usual encodings."""
    for secret in secrets:
        for where, text in looked_through.items():
            for form in _forms(secret):
                assert form not in text, (where, secret, text[max(0, text.index(form) - _AROUND) :][: 2 * _AROUND])


def _forms(secret: str) -> set[str]:
    clear = secret.encode()
    forms = {secret, clear.hex(), base64.b64encode(clear).decode().rstrip("="), quote(secret, safe="")}
    if secret.startswith("whsec_"):  # what signs is what these characters stand for
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return forms
        forms |= {key.hex(), key.decode("latin-1"), secret.removeprefix("whsec_")}
    return forms
