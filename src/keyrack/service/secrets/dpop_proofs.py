"""Signs proofs for who uses a token that is bound to a secret's key, which never leaves (RFC 9449 section 7)."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from yarl import URL

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import NotFound, Problem, StateConflict, ValidationFailed
from keyrack.model.clients import AuthClient
from keyrack.model.identity import Principal
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.dpop import is_bound, is_nonce, new_proof
from keyrack.provider.uri_guard import parse_uri
from keyrack.service.authz.access import Access
from keyrack.service.authz.freezing import require_thawed
from keyrack.service.authz.permissions import GET_SECRET_CREDENTIALS
from keyrack.service.clients.auth_client_profile import client_profile
from keyrack.service.identity.last_use import LastUse
from keyrack.service.secrets.refresh.tokens import TYPE
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.validation.unvalidated import Unvalidated

_SIGNED = "secret.sign-proof"
_POINTER = "/data/attributes"
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}")


@dataclass(frozen=True, slots=True)
class WantedProof:
    """For which request a proof is asked.

    Attributes:
        method: of HTTP.
        url: where the request goes.
        nonce: what the server has sent to be repeated, if it has.
    """

    method: str
    url: str = field(repr=False)
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class SignedProof:
    """A proof, good for one request soon; `issued_at` is when it was made."""

    proof: Secret
    issued_at: datetime


class DPoPProofs:
    """Signs with the keys of secrets.

    Args:
        access: the way into every operation.
        last_use: learns that a secret was used.
        clock: the time.
        allow_insecure: whether requests may go to `http` addresses.
    """

    def __init__(self, access: Access, last_use: LastUse, clock: Clock, *, allow_insecure: bool) -> None:
        self._access = access
        self._last_use = last_use
        self._clock = clock
        self._allow_insecure = allow_insecure

    async def sign(
        self, who: Principal, workspace_id: str, secret_id: str, wanted: Unvalidated[WantedProof]
    ) -> SignedProof:
        """Return a proof for one request with the access token that a secret has now; it is not renewed before.

        Whoever may read the token may have its proofs, and like reading it is counted for the audit log by the hour.

        Args:
            who: the caller.
            workspace_id: where the secret is.
            secret_id: the secret.
            wanted: for which request.

        Raises:
            Forbidden: the caller may not see credentials.
            NotFound: the workspace has no such secret.
            ValidationFailed: the request cannot be one.
            StateConflict: the secret's token is not bound to a key that Keyrack holds.
        """
        client = None
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(GET_SECRET_CREDENTIALS)
            secret = await AuthSecrets(scope.unit).find(secret_id)
            if secret is not None:
                await require_thawed(scope.unit, secret.tenant_id, secret.auth_client_id)
                client = await find_usable(scope.unit, secret.auth_client_id)
        if secret is None or secret.workspace_id != workspace_id:
            raise NotFound("there is no such secret in this workspace")
        request = self._checked(wanted.validated())
        if secret.dpop_key is None or not is_bound(secret.credentials.get(TYPE)):
            raise StateConflict("the token of this secret is not bound to a key: send it as a Bearer token")
        if client is not None and _normal(request.url) in _token_endpoints(client, secret):
            detail = "is where tokens are renewed, which Keyrack alone does: the key is to keep refresh tokens here"
            raise ValidationFailed(Problem(detail, f"{_POINTER}/url"))
        now, token = self._clock(), Secret(secret.credentials["access_token"])
        proof = new_proof(secret.dpop_key, request.method, request.url, now, nonce=request.nonce, access_token=token)
        self._last_use.note(secret.tenant_id, secret.id)
        self._access.counts.disclosed(who, secret.tenant_id, _SIGNED, "auth-secret", [secret.id])
        return SignedProof(Secret(proof), now)

    def _checked(self, wanted: WantedProof) -> WantedProof:
        """Return a request as it goes over the wire: its host in lower-case ASCII.

        Raises:
            ValidationFailed: with one problem for every member at fault.
        """
        problems, url = [], ""
        if not _METHOD.fullmatch(wanted.method):
            problems.append(Problem("is no method of HTTP", f"{_POINTER}/method"))
        try:
            url = str(parse_uri(wanted.url, allow_insecure=self._allow_insecure, pointer=f"{_POINTER}/url"))
        except ValidationFailed as wrong:
            problems.extend(wrong.problems)
        if wanted.nonce is not None and not is_nonce(wanted.nonce):
            problems.append(Problem("is no nonce (RFC 9449 section 8.1)", f"{_POINTER}/nonce"))
        if problems:
            raise ValidationFailed(*problems)
        return WantedProof(wanted.method, url, wanted.nonce)


def _token_endpoints(client: AuthClient, secret: AuthSecret) -> set[str]:
    """Return where a client gets tokens for what it has: a refresh token cannot be used there without a proof."""
    profile = client_profile(client, secret.auth_method, secret.credentials)
    named = (profile.token_endpoint, profile.refresh_endpoint, profile.exchange_endpoint)
    return {_normal(url) for url in named if url}


def _normal(url: str) -> str:
    """Return a URL as any server may read it: decoded, without query, case of letters and needless slashes."""
    parts = URL(url)
    path = "/".join(filter(None, parts.path.split("/")))
    return f"{parts.scheme}://{parts.host}:{parts.port}/{path}".lower()
