"""Reads the entries of Vault's plugin `oauthapp`: of its storage, as `vault read sys/raw/…` shows them, or of its API.

An entry is an object with `path` and `data`. In storage a path ends with a hash of the name: SHA-224 of a server's,
SHA-1 of a credential's; so names are found again among those that the operator gives. The API tells neither client
secrets nor refresh tokens: what comes from there is brought as far as it goes, or left out.
"""

import hashlib
from collections.abc import Iterator, Sequence

from keyrack.model import Json
from keyrack.service.importers.other_systems.entries import EntryKind, FoundClient, FoundGrant, LeftOut
from keyrack.service.importers.other_systems.json_objects import Found
from keyrack.service.importers.other_systems.profiles import Profiles, no_profile
from keyrack.service.importers.other_systems.values import (
    LONGEST_ID,
    beside_tokens,
    object_of,
    scalars,
    scope_of,
    text_of,
    time_of,
)

SOURCE = "vault-oauthapp"
_LEGACY_SERVER = "legacy"
_METHODS = {"in_header": "basic", "in_params": "post"}
_OF_OPTIONS = {"auth_uri": "auth_code_url", "token_uri": "token_url", "issuer": "issuer_url"}
_UNTOLD = "the API does not tell client secrets: read its storage, or add client_secret to its data"
_NO_NAME = "its name is not among those that --names has: the storage knows names only as hashes"


class OauthappExport:
    """Reads objects of a file.

    Args:
        profiles: which provider profile stands for which of the plugin's providers.
        names: of servers and credentials, to find those of hashed paths.
    """

    source = SOURCE

    def __init__(self, profiles: Profiles, names: Sequence[str] = ()) -> None:
        self._profiles = profiles
        self._servers = {_hashed(hashlib.sha224(name.encode()).hexdigest()): name for name in names}
        self._grants = {_hashed(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()): name for name in names}

    def clients(self, found: Found) -> Iterator[FoundClient | LeftOut]:
        """Yield the client of a server."""
        path, data = _parts(found)
        if not path.startswith("servers/"):
            return
        key = path.removeprefix("servers/")
        name = self._servers.get(key, "" if "/" in key else key)
        if not name:
            yield LeftOut(EntryKind.client, path, _NO_NAME)
            return
        yield self._client(name, data)

    def grants(self, found: Found) -> Iterator[FoundGrant | LeftOut]:
        """Yield the grant of a credential."""
        path, data = _parts(found)
        if path.startswith("servers/"):
            return
        if path.startswith("self/"):
            why = "its tokens are got with client credentials and no person: make the connection again in Keyrack"
            yield LeftOut(EntryKind.grant, path, why)
            return
        if not path.startswith("creds/"):
            why = "is no entry of the plugin: its path begins with neither servers/ nor creds/"
            yield LeftOut(EntryKind.grant, path or f"object {found.number}", why)
            return
        key = path.removeprefix("creds/")
        name = self._grants.get(key, "" if "/" in key else key)
        yield LeftOut(EntryKind.grant, path, _NO_NAME) if not name else _grant(name, data)

    def _client(self, name: str, data: Json) -> FoundClient | LeftOut:
        provider = text_of(data.get("provider_name") or data.get("provider"))
        options = scalars(data.get("provider_options"))
        client_id, secret = text_of(data.get("client_id")), text_of(data.get("client_secret"))
        if not client_id:
            return LeftOut(EntryKind.client, name, "it has no client_id")
        if "client_secret" not in data:
            return LeftOut(
                EntryKind.client, name, "the API does not tell client secrets: add client_secret to its data"
            )
        credentials: Json = {"client_id": client_id, "client_secret": secret}
        profile = self._profiles.of(provider)
        if profile is not None:
            credentials["provider_profile"] = profile
            return FoundClient(name, name, credentials)
        given = {ours: options.get(theirs, "") for ours, theirs in _OF_OPTIONS.items()}
        if not given["token_uri"]:
            return LeftOut(EntryKind.client, name, no_profile(provider))
        given["auth_uri"] = given["auth_uri"] or given["token_uri"]
        credentials |= {each: address for each, address in given.items() if address}
        method = _METHODS.get(options.get("auth_style", ""))
        return FoundClient(name, name, credentials if method is None else {**credentials, "client_auth": method})


def _grant(name: str, data: Json) -> FoundGrant | LeftOut:
    if data.get("user_error"):
        return LeftOut(EntryKind.grant, name, "the provider has ended it: connect again in Keyrack")
    if not data.get("access_token"):
        return LeftOut(EntryKind.grant, name, "no token was issued yet")
    server = text_of(data.get("auth_server_name") or data.get("server"), LONGEST_ID) or _LEGACY_SERVER
    answer = object_of(data.get("extra_data"))
    credentials = {each: data[each] for each in ("access_token", "refresh_token") if data.get(each)}
    scope = scope_of(answer.get("scope"))
    expires_at = time_of(data.get("expiry") or data.get("expire_time"))
    issued_at = time_of(data.get("last_issue_time"))
    return FoundGrant(
        external_id=name,
        client_id=server,
        name=name,
        credentials={**credentials, "scope": scope} if scope else credentials,
        settings=scalars(data.get("provider_options")),
        answer=beside_tokens(answer),
        labels={"connection": name},
        issued_at=issued_at,
        expires_at=expires_at,
        told_at=issued_at or expires_at,
    )


def _parts(found: Found) -> tuple[str, Json]:
    return text_of(found.value.get("path"), LONGEST_ID).strip("/"), object_of(found.value.get("data"))


def _hashed(digest: str) -> str:
    """Return where the storage has what a name's digest stands for."""
    return f"{digest[:4]}/{digest[4:8]}/{digest[8:]}"
