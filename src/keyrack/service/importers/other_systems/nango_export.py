"""Reads what Nango has: rows of its database (`_nango_configs`, `_nango_connections`), or answers of its API.

In the database, secrets are encrypted with AES-256-GCM where `NANGO_ENCRYPTION_KEY` is set: `credentials` is then an
object with `encrypted_credentials`, and `credentials_iv` and `credentials_tag` stand beside it; of a client,
`oauth_client_secret_iv` and `oauth_client_secret_tag` beside the secret. All are base64.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyrack.crypto.secret import Secret
from keyrack.errors import BadRequest, ConfigurationError
from keyrack.model import Json
from keyrack.service.importers.other_systems.entries import (
    EntryKind,
    FoundClient,
    FoundGrant,
    LeftOut,
    UnreadableError,
)
from keyrack.service.importers.other_systems.json_objects import Found
from keyrack.service.importers.other_systems.profiles import Profiles, no_profile
from keyrack.service.importers.other_systems.values import (
    LONGEST_ID,
    beside_tokens,
    issued_before,
    latest,
    object_of,
    scalars,
    scope_of,
    text_of,
    time_of,
)

SOURCE = "nango"
_KEY_BYTES = 32
_OAUTH2 = "OAUTH2"
_ENCRYPTED = "encrypted_credentials"
_OTHER_KINDS = {
    "OAUTH2_CC": "its tokens are got with client credentials and no person: make the connection again in Keyrack",
    "OAUTH1": "OAuth 1.0a: connect again in Keyrack",
    "TBA": "OAuth 1.0a: connect again in Keyrack",
    "API_KEY": "it holds an API key, and no OAuth grant",
    "BASIC": "it holds a user name and password, and no OAuth grant",
    "NONE": "it holds nothing",
}


class NangoExport:
    """Reads objects of a file from Nango.

    Args:
        profiles: which provider profile stands for which of Nango's providers.
        key: `NANGO_ENCRYPTION_KEY`, base64 of 32 bytes; None: the file is in clear.
        environment: number of the environment whose rows are wanted; None: the file has one only.

    Raises:
        ConfigurationError: the key is none.
    """

    source = SOURCE

    def __init__(self, profiles: Profiles, key: Secret | None = None, environment: str | None = None) -> None:
        self._profiles = profiles
        self._cipher = None if key is None else AESGCM(_key_bytes(key))
        self._environment = environment
        self._seen: str | None = environment

    def clients(self, found: Found) -> Iterator[FoundClient | LeftOut]:
        """Yield the client of an integration."""
        value = _unwrapped(found.value)
        external_id = text_of(value.get("unique_key"), LONGEST_ID)
        if "connection_id" in value or not external_id or not self._is_wanted(value):
            return
        try:
            yield self._client(external_id, value)
        except UnreadableError as error:
            yield LeftOut(EntryKind.client, external_id, str(error))

    def grants(self, found: Found) -> Iterator[FoundGrant | LeftOut]:
        """Yield the grant of a connection."""
        value = _unwrapped(found.value)
        if "connection_id" not in value:
            if not text_of(value.get("unique_key"), LONGEST_ID):
                why = "is neither an integration (unique_key) nor a connection (connection_id)"
                yield LeftOut(EntryKind.grant, f"object {found.number}", why)
            return
        connection, key = text_of(value["connection_id"], LONGEST_ID), text_of(value.get("provider_config_key"))
        external_id = f"{key}/{connection}"
        if not connection or not key:
            yield LeftOut(EntryKind.grant, f"object {found.number}", "has no connection_id and provider_config_key")
        elif self._is_wanted(value):
            try:
                yield self._grant(external_id, connection, key, value)
            except UnreadableError as error:
                yield LeftOut(EntryKind.grant, external_id, str(error))

    def _client(self, external_id: str, value: Json) -> FoundClient | LeftOut:
        about = object_of(value.get("credentials"))
        client_id = text_of(value.get("oauth_client_id") or about.get("client_id"))
        secret = value.get("oauth_client_secret") or about.get("client_secret")
        if not client_id:
            shared = value.get("shared_credentials_id") is not None
            why = "it uses an app of Nango's own" if shared else "it has no OAuth client"
            return LeftOut(EntryKind.client, external_id, why)
        iv, tag = value.get("oauth_client_secret_iv"), value.get("oauth_client_secret_tag")
        if iv and tag:
            secret = self._decrypted(secret, iv, tag)
        provider = text_of(value.get("provider"))
        profile = self._profiles.of(provider)
        if profile is None:
            return LeftOut(EntryKind.client, external_id, no_profile(provider))
        credentials = {"client_id": client_id, "client_secret": text_of(secret), "provider_profile": profile}
        scopes = scope_of(value.get("oauth_scopes") or about.get("scopes")).replace(",", " ").split()
        if scopes:
            credentials["scope"] = " ".join(scopes)
        return FoundClient(external_id, external_id, credentials, time_of(value.get("updated_at")))

    def _grant(self, external_id: str, connection: str, key: str, value: Json) -> FoundGrant | LeftOut:
        about = object_of(value.get("credentials"))
        if _ENCRYPTED in about:
            text = self._decrypted(about[_ENCRYPTED], value.get("credentials_iv"), value.get("credentials_tag"))
            about = object_of(text)
        kind = text_of(about.get("type"))
        if kind != _OAUTH2:
            why = _OTHER_KINDS.get(kind, f"credentials of the kind {kind or 'that is not named'} are no OAuth 2 grant")
            return LeftOut(EntryKind.grant, external_id, why)
        if object_of(about.get("config_override")).get("client_id"):
            return LeftOut(EntryKind.grant, external_id, "it has a client of its own: connect again in Keyrack")
        answer = object_of(about.get("raw"))
        expires_at = time_of(about.get("expires_at") or value.get("credentials_expires_at"))
        told_at = latest(time_of(value.get("updated_at")), time_of(value.get("last_refresh_success")))
        refreshed_at = time_of(value.get("last_refresh_success")) or time_of(value.get("created_at"))
        config = object_of(value.get("connection_config"))
        credentials = {
            "access_token": about.get("access_token"),
            "refresh_token": about.get("refresh_token") or answer.get("refresh_token"),
            "scope": scope_of(answer.get("scope")) or None,
        }
        return FoundGrant(
            external_id=external_id,
            client_id=key,
            name=connection,
            credentials={name: each for name, each in credentials.items() if each is not None},
            settings=scalars(config),
            answer=beside_tokens(answer),
            labels=_labels(connection, value),
            issued_at=issued_before(expires_at, answer, refreshed_at or told_at),
            expires_at=expires_at,
            connected_at=time_of(value.get("created_at")),
            told_at=told_at,
        )

    def _is_wanted(self, value: Mapping[str, Any]) -> bool:
        """Tell whether an object is of the environment that is wanted, and was not deleted."""
        environment = text_of(value.get("environment_id"))
        if not environment:
            return not value.get("deleted")
        if self._seen is None:
            self._seen = environment
        if self._environment is None and self._seen != environment:
            raise BadRequest("the file has several environments; say which one is wanted with --environment")
        return self._seen == environment and not value.get("deleted")

    def _decrypted(self, sealed: Any, iv: Any, tag: Any) -> str:
        if self._cipher is None:
            raise UnreadableError("it is encrypted, and no key was given (NANGO_ENCRYPTION_KEY, or --key-file)")
        try:
            parts = [b64decode(text_of(part, 1 << 20), validate=True) for part in (iv, sealed, tag)]
            return self._cipher.decrypt(parts[0], parts[1] + parts[2], None).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise UnreadableError("it cannot be decrypted with this key: it is another one, or it is damaged") from None


def _key_bytes(key: Secret) -> bytes:
    try:
        found = b64decode(key.reveal().strip(), validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != _KEY_BYTES:
        raise ConfigurationError("the key must be base64 of 32 bytes, as NANGO_ENCRYPTION_KEY is")
    return found


def _unwrapped(value: Json) -> Json:
    """Return what an answer of the API has in `data`."""
    inner = value.get("data")
    return inner if isinstance(inner, dict) and not {"unique_key", "connection_id"} & value.keys() else value


def _labels(connection: str, value: Mapping[str, Any]) -> dict[str, str]:
    end_user = object_of(value.get("end_user"))
    organization = end_user.get("organization")
    tags = object_of(value.get("tags"))
    people = (end_user.get("id"), tags.get("end_user_id"), value.get("end_user_id"))
    named = {
        "connection": connection,
        "end_user": next(filter(None, map(text_of, people)), ""),
        "organization": text_of(object_of(organization).get("id")) or text_of(tags.get("organization_id")),
    }
    return {name: text for name, text in named.items() if text}
