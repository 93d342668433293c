"""Makes what Nango has, in the shape of its database and of its API; nothing of it was copied."""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = b64encode(bytes(range(32))).decode()
NOW = datetime.now(UTC).replace(microsecond=0)


def sealed(clear: str, key: str = KEY) -> tuple[str, str, str]:
    """Encrypt as Nango does; return text, iv and tag in base64."""
    iv = os.urandom(12)
    both = AESGCM(b64decode(key)).encrypt(iv, clear.encode(), None)
    return b64encode(both[:-16]).decode(), b64encode(iv).decode(), b64encode(both[-16:]).decode()


def config(key: str = "crm", provider: str = "hubspot", secret: str = "cs-1", **more: Any) -> dict[str, Any]:
    """Return a row of `_nango_configs`, its secret in clear."""
    return {
        "id": 7, "unique_key": key, "provider": provider, "oauth_client_id": f"id-of-{key}",
        "oauth_client_secret": secret, "oauth_client_secret_iv": None, "oauth_client_secret_tag": None,
        "oauth_scopes": "contacts,oauth", "environment_id": 3, "deleted": False, "deleted_at": None, "custom": None,
        "missing_fields": [], "display_name": None, "forward_webhooks": True, "shared_credentials_id": None,
        "created_at": "2026-01-05T09:00:00+00:00", "updated_at": "2026-01-05T09:00:00+00:00", **more,
    }  # fmt: skip


def encrypted_config(key: str = "crm", secret: str = "cs-1", **more: Any) -> dict[str, Any]:
    """Return the same with its secret encrypted."""
    text, iv, tag = sealed(secret)
    beside = {"oauth_client_secret_iv": iv, "oauth_client_secret_tag": tag}
    return config(key, **{**beside, **more}, secret=text)


def oauth2(number: int = 1, *, expires_in: int = 1800, **more: Any) -> dict[str, Any]:
    """Return credentials of the kind OAUTH2."""
    tokens = {"access_token": f"at-{number}", "refresh_token": f"rt-{number}"}
    raw = {**tokens, "expires_in": 1800, "token_type": "bearer", "scope": "contacts oauth", "hub_id": 42}
    expires_at = (NOW + timedelta(seconds=expires_in)).isoformat().replace("+00:00", ".000Z")
    return {"type": "OAUTH2", **tokens, "expires_at": expires_at, "raw": raw, **more}


def connection(
    name: str = "customer-1", key: str = "crm", credentials: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return a row of `_nango_connections`, its credentials in clear."""
    return {
        "id": 11, "config_id": 7, "end_user_id": None, "tags": {}, "provider_config_key": key, "connection_id": name,
        "connection_config": {}, "environment_id": 3, "metadata": None, "credentials": credentials or oauth2(),
        "credentials_iv": None, "credentials_tag": None, "last_fetched_at": None, "credentials_expires_at": None,
        "last_refresh_failure": None, "last_refresh_success": "2026-11-30T08:00:00.5+00:00", "refresh_attempts": None,
        "refresh_exhausted": False, "deleted": False, "deleted_at": None,
        "created_at": "2026-02-01T10:00:00+00:00", "updated_at": "2026-11-30T08:00:00.5+00:00", **more,
    }  # fmt: skip


def encrypted(row: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    """Return a connection with its credentials encrypted."""
    text, iv, tag = sealed(json.dumps(row["credentials"]), key)
    return {**row, "credentials": {"encrypted_credentials": text}, "credentials_iv": iv, "credentials_tag": tag}


def lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows as `psql` prints them, one a line."""
    with path.open("w") as opened:
        for row in rows:
            opened.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
