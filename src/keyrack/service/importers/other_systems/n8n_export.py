"""Reads what `n8n export:credentials` writes: an array of credentials, decrypted (`--decrypted`) or as n8n stores them.

As n8n stores it, `data` is base64 of `Salted__`, a salt and AES-256-CBC, as OpenSSL has it: key and IV come of MD5 over
the instance's encryption key and the salt. There is no authentication tag; what is not JSON then was sealed with
another key.
"""

import binascii
import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from keyrack.crypto.secret import Secret
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
    object_of,
    scope_of,
    text_of,
    time_of,
)

SOURCE = "n8n"
_NO_KEY = (
    "it is encrypted: export with --decrypted, or give the key of the instance (N8N_ENCRYPTION_KEY, or --key-file)"
)
_SALTED, _SALT_END = b"Salted__", 16
_OAUTH2 = ("OAuth2Api", "OAuth2", "oAuth2Api")
"""How types of credentials end that are of OAuth 2."""
_GENERIC = "oAuth2Api"
_METHODS = {"header": "basic", "body": "post"}
_BY_A_PERSON = ("authorizationCode", "pkce", "")
_ADDRESSES = {"auth_uri": "authUrl", "token_uri": "accessTokenUrl"}
_TOKENS = ("access_token", "refresh_token")
_NOT_ANSWERED = ("callbackQueryString",)


class N8nExport:
    """Reads objects of a file from n8n.

    Args:
        profiles: which provider profile stands for which type of credentials.
        key: the instance's encryption key; None: the file was exported with `--decrypted`.
    """

    source = SOURCE

    def __init__(self, profiles: Profiles, key: Secret | None = None) -> None:
        self._profiles = profiles
        self._key = key

    def clients(self, found: Found) -> Iterator[FoundClient | LeftOut]:
        """Yield the client of a credential; those of several with the same client are one."""
        kind = text_of(found.value.get("type"), LONGEST_ID)
        if kind.endswith(_OAUTH2):
            try:
                client = self._client(kind, self._data(found.value), found.value)
            except UnreadableError:  # which is told of the grant
                return
            if client is not None:
                yield client

    def grants(self, found: Found) -> Iterator[FoundGrant | LeftOut]:
        """Yield the grant of a credential."""
        external_id = text_of(found.value.get("id"), LONGEST_ID)
        kind = text_of(found.value.get("type"), LONGEST_ID)
        if not external_id or not kind:
            yield LeftOut(EntryKind.grant, f"object {found.number}", "has no id and type, as n8n's credentials have")
            return
        if not kind.endswith(_OAUTH2):
            yield LeftOut(EntryKind.grant, external_id, f"credentials of the type {kind} hold no OAuth 2 grant")
            return
        try:
            yield self._grant(external_id, kind, self._data(found.value), found.value)
        except UnreadableError as error:
            yield LeftOut(EntryKind.grant, external_id, str(error))

    def _client(self, kind: str, data: Json, value: Json) -> FoundClient | LeftOut | None:
        client_id = text_of(data.get("clientId"))
        if not client_id:
            return None  # an app of n8n's own, which is told of the grant
        external_id = _client_of(kind, data)
        credentials: Json = {"client_id": client_id, "client_secret": text_of(data.get("clientSecret"))}
        profile = self._profiles.of(_provider(kind))
        if profile is not None:
            credentials["provider_profile"] = profile
        elif text_of(data.get("accessTokenUrl")):
            given = {ours: text_of(data.get(theirs)) for ours, theirs in _ADDRESSES.items()}
            credentials |= {name: address for name, address in given.items() if address}
            method = _METHODS.get(text_of(data.get("authentication")))
            credentials |= {} if method is None else {"client_auth": method}
        else:
            return LeftOut(EntryKind.client, external_id, no_profile(_provider(kind)))
        scopes = scope_of(data.get("scope")).replace(",", " ").split()
        if scopes:
            credentials["scope"] = " ".join(scopes)
        return FoundClient(external_id, text_of(value.get("name"), 200) or external_id, credentials)

    def _grant(self, external_id: str, kind: str, data: Json, value: Json) -> FoundGrant | LeftOut:
        if text_of(data.get("grantType")) not in _BY_A_PERSON:
            why = "its tokens are got without a person: make the connection again in Keyrack"
            return LeftOut(EntryKind.grant, external_id, why)
        if not text_of(data.get("clientId")):
            return LeftOut(EntryKind.grant, external_id, "it uses an app of n8n's own: connect again in Keyrack")
        answer = object_of(data.get("oauthTokenData"))
        if not answer:
            return LeftOut(EntryKind.grant, external_id, "nobody has connected it in n8n")
        told_at = time_of(value.get("updatedAt"))
        credentials = {name: answer[name] for name in _TOKENS if answer.get(name) is not None}
        scope = scope_of(answer.get("scope"))
        if scope:
            credentials["scope"] = scope
        if answer.get("expires_in") is not None:
            credentials["expires_in"] = answer["expires_in"]
        shared = value.get("shared")
        owner = object_of(shared[0]) if isinstance(shared, list) and shared else {}
        labels = {"connection": external_id, "project": text_of(owner.get("projectId"))}
        return FoundGrant(
            external_id=external_id,
            client_id=_client_of(kind, data),
            name=text_of(value.get("name"), 200) or external_id,
            credentials=credentials,
            settings=_settings(data),
            answer={name: each for name, each in beside_tokens(answer).items() if name not in _NOT_ANSWERED},
            labels={name: text for name, text in labels.items() if text},
            issued_at=told_at,
            connected_at=time_of(value.get("createdAt")),
            told_at=told_at,
        )

    def _data(self, value: Json) -> Json:
        data = value.get("data")
        if isinstance(data, dict):
            return data
        if self._key is None:
            raise UnreadableError(_NO_KEY)
        return _decrypted(text_of(data, 1 << 20), self._key)


def _decrypted(text: str, key: Secret) -> Json:
    """Open what n8n has sealed.

    Raises:
        UnreadableError: it cannot be.
    """
    if ":" in text:
        raise UnreadableError("it is encrypted with a key that only this n8n has: export with --decrypted")
    try:
        sealed = b64decode(text, validate=True)
        if not sealed.startswith(_SALTED):
            raise UnreadableError("it is encrypted in a way that is not known: export with --decrypted")
        found = json.loads(_opened(sealed, key))
    except (ValueError, RecursionError, binascii.Error):
        raise UnreadableError("it cannot be decrypted with this key: it is another one, or it is damaged") from None
    if not isinstance(found, dict):
        raise UnreadableError("it cannot be decrypted with this key: it is another one, or it is damaged")
    return found


def _opened(sealed: bytes, key: Secret) -> bytes:
    secret = key.reveal().encode("latin-1", "replace") + sealed[len(_SALTED) : _SALT_END]
    hashes = [b""]
    for _ in range(3):
        # what n8n, as OpenSSL, makes keys with; it protects nothing here that it does not protect there
        hashes.append(hashlib.md5(hashes[-1] + secret, usedforsecurity=False).digest())
    opener = Cipher(AES(hashes[1] + hashes[2]), CBC(hashes[3])).decryptor()
    padded = opener.update(sealed[_SALT_END:]) + opener.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def _client_of(kind: str, data: Json) -> str:
    """Return what stands for the client of a credential: n8n has no id of it."""
    endpoint = text_of(data.get("accessTokenUrl"))
    digest = hashlib.sha256(f"{endpoint}\0{text_of(data.get('clientSecret'))}".encode()).hexdigest()[:12]
    return f"{kind}/{text_of(data.get('clientId'), LONGEST_ID)}/{digest}"


def _provider(kind: str) -> str:
    """Return the provider of a type of credentials: `slackOAuth2Api` is of `slack`."""
    return next((kind.removesuffix(end) for end in _OAUTH2 if kind.endswith(end)), kind)


def _settings(data: Json) -> dict[str, str]:
    """Return what was filled in beside the client, such as a subdomain."""
    own = {"clientId", "clientSecret", "oauthTokenData", "scope", "grantType", "authentication", *_ADDRESSES.values()}
    return {name: text for name, each in data.items() if name not in own and (text := _setting(name, each))}


def _setting(name: str, value: Any) -> str:
    return "" if "secret" in name.lower() or "password" in name.lower() else text_of(value, 500)
