"""Merges a token response into a credential's `keys` (contract sections 0.17, 20.4 and 21)."""

from collections.abc import Mapping, Sequence
from typing import Any

from keyrack.errors import ProviderError
from keyrack.oauth.token_response import TokenResponse

NO_REFRESH_TOKEN = (
    "The authorization server gave no refresh token, so the access would end soon and nothing was stored."  # noqa: S105
    " Ask for offline access: add the provider's parameter to the component's oauth2 block, for example"
    ' "access_type": "offline" with "prompt": "consent", or the scope offline_access.'
)


def merge_tokens(keys: Mapping[str, Any], path: Sequence[str], tokens: TokenResponse) -> dict[str, Any]:
    """Return `keys` with a token response at `path`.

    The response is stored flat, with a copy of the provider's own members under `undefined_params`. A refresh token
    that is stored already is kept when the response has none.

    Args:
        keys: the credential's values; not changed.
        path: member names from `keys` to where the tokens go.
        tokens: what the provider sent.

    Raises:
        ProviderError: there is no refresh token, neither new nor stored (contract 24.12).
    """
    stored = _at(keys, path)
    placed = dict(tokens.members) | {"undefined_params": tokens.undefined_params}
    if tokens.refresh_token is None:
        kept = stored.get("refresh_token")
        if not isinstance(kept, str) or not kept:
            raise ProviderError(NO_REFRESH_TOKEN)
        placed["refresh_token"] = kept
    return _with(keys, path, placed)


def merge_token_credentials(keys: Mapping[str, Any], path: Sequence[str], tokens: TokenResponse) -> dict[str, Any]:
    """Return `keys` with token credentials of OAuth 1.0a at `path`: the provider's parameters, flat (contract 21).

    There is no refresh token to keep or to ask for; nothing of what was there stays.
    """
    return _with(keys, path, dict(tokens.members))


def under_their_field(keys: Mapping[str, Any], path: Sequence[str], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a component handed back with a bare token response put where the credential keeps its tokens.

    A real library (`OAuth2RestClient` of the platform's component library) emits `updateKeys` with the token response
    itself, not under the name of the OAuth field (decision 6). At the top of `keys` it would be found by nobody, and a
    rotated refresh token would be lost.

    Args:
        keys: the credential's values; not changed.
        path: member names from `keys` to where the tokens are.
        given: what was handed back.
    """
    if path[0] in given or not isinstance(given.get("access_token"), str):
        return given
    return {path[0]: _with(keys, path, dict(given))[path[0]]}


def _at(keys: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    found: Any = keys
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _with(keys: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    head, *rest = path
    inner = keys.get(head)
    if rest:
        value = _with(inner if isinstance(inner, Mapping) else {}, rest, value)
    return {**keys, head: value}
