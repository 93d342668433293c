"""The consent flow: start, callback, exchange, store (contract section 20).

No transaction is open while the provider is called (design, invariant 3): the callback consumes the state in one unit
of work, exchanges the code, and stores the result in another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.descriptor.first_generation import ResolvedOAuth2
from keyrack.errors import (
    BadRequest,
    Forbidden,
    KeyrackError,
    NotFound,
    Problem,
    ProviderError,
    RelatedNotFound,
    StateConflict,
    ValidationFailed,
)
from keyrack.ids import new_id
from keyrack.model import Consent, ConsentStatus, OAuthClient, Principal, PrincipalKind, Tenant
from keyrack.oauth import pkce
from keyrack.oauth.authorization_code import build_authorization_url, build_token_request, process_callback
from keyrack.oauth.state import new_state, state_hash
from keyrack.oauth.token_response import TokenResponse, process_token_response
from keyrack.provider.client import ProviderClient
from keyrack.service.access import Access, Scope
from keyrack.service.consent_plan import ConsentPlanner, profile_of
from keyrack.service.sight import workspace_component
from keyrack.service.token_keys import merge_tokens
from keyrack.store.consents import Consents as Rows
from keyrack.store.credentials import Credentials
from keyrack.store.directory import Directory, Location
from keyrack.store.oauth_clients import OAuthClients
from keyrack.store.store import Store
from keyrack.store.tenants import Tenants

CALLBACK_PATH = "/callback/oauth2"
_PERMISSION = "workspaces.credential.edit"


@dataclass(frozen=True, slots=True)
class NewConsent:
    """What a caller sends to start a consent (contract 20.2)."""

    component_id: str
    credential_id: str | None = None
    name: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    additional_params: Mapping[str, str] = field(default_factory=dict)
    return_url: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a callback ended.

    Attributes:
        error: why it failed, for the person in front of the browser; None on success.
        said: what the provider said about it: `error`, `error_description`, `error_uri`, each if sent.
        return_url: where the browser goes on, if the one who started the consent said so.
        credential_id: what was stored.
    """

    error: str | None
    said: Mapping[str, str] = field(default_factory=dict)
    return_url: str | None = None
    credential_id: str | None = None


class UnknownState(BadRequest):
    """It was used before, has expired, or was never ours. If nothing is connected yet, start connecting again."""


class Consents:
    """Use cases of contract section 20, first generation."""

    def __init__(
        self,
        store: Store,
        access: Access,
        provider: ProviderClient,
        planner: ConsentPlanner,
        *,
        public_url: str | None,
        lifetime: timedelta,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access = access
        self._provider = provider
        self._planner = planner
        self._public_url = public_url
        self._lifetime = lifetime
        self._clock = clock

    async def start(self, who: Principal, workspace_id: str, new: Callable[[], NewConsent]) -> Consent:
        """Start a consent and return it with the address to send the user's browser to, in `memory`.

        Raises:
            Forbidden: no `workspaces.credential.edit`, or the caller is not a person.
            ValidationFailed: the body, a field or a template is wrong; the return URL is foreign.
            RelatedNotFound: the workspace does not have the component or credential.
            OAuthClientMissing: the tenant has no OAuth client for the component (contract 0.4).
        """
        async with self._access.workspace(who, workspace_id, "consent.start") as scope:
            scope.require(_PERMISSION)
            scope.require_that(who.kind is PrincipalKind.user, "only a user can connect an account")
            wanted = new()
            component = await workspace_component(scope, wanted.component_id)
            stored = await _stored_fields(scope, wanted)
            plan, fields, _ = await self._planner.plan(scope, component, stored | dict(wanted.fields))
            base = await self._base(scope)
            if wanted.return_url is not None:
                _require_same_host(wanted.return_url, base)
            state, verifier, redirect_uri = new_state(), pkce.new_verifier(), base + CALLBACK_PATH
            url = build_authorization_url(
                profile_of(plan),
                redirect_uri=redirect_uri,
                state=state,
                scope=plan.scope,
                code_challenge=pkce.challenge(verifier) if plan.pkce else None,
                extra={**plan.extra, **wanted.additional_params},
            )
            now = self._clock()
            consent = Consent(
                id=new_id(),
                tenant_id=scope.unit.tenant_id,
                workspace_id=workspace_id,
                user_id=who.id,
                component_id=component.id,
                credential_id=wanted.credential_id,
                status=ConsentStatus.pending,
                error=None,
                result_id=None,
                created_at=now,
                expires_at=now + self._lifetime,
                memory={
                    "authorization_url": url,
                    "redirect_uri": redirect_uri,
                    "return_url": wanted.return_url,
                    "verifier": verifier.reveal() if plan.pkce else None,
                    "client_id": plan.client_id,
                    "token_endpoint": plan.token_endpoint,
                    "issuer": plan.issuer,
                    "name": wanted.name or component.name,
                    "fields": fields,
                },
            )
            await Rows(scope.unit).add(consent, state_hash(state))
            scope.touched("oauth-consent", consent.id)
            return consent

    async def get(self, who: Principal, workspace_id: str, consent_id: str) -> Consent:
        """Return a consent to the one who started it.

        Raises:
            NotFound: there is none, or somebody else started it.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(_PERMISSION)
            consent = await Rows(scope.unit).find(consent_id)
            if consent is None or consent.workspace_id != workspace_id or consent.user_id != who.id:
                raise NotFound("there is no such consent of yours")
            if consent.status is ConsentStatus.exchanging:
                late = consent.expires_at <= self._clock()
                return _shown(consent, ConsentStatus.failed if late else ConsentStatus.pending)
            expired = consent.status is ConsentStatus.pending and consent.expires_at <= self._clock()
            return _shown(consent, ConsentStatus.failed if expired else consent.status)

    async def finish(self, params: Mapping[str, str], address: str | None, request_id: str | None) -> Outcome:
        """Take a callback: consume the state, exchange the code, store the credential (contract 20.3, 20.4).

        Args:
            params: the callback's query parameters.
            address: where the browser is, for the audit log.
            request_id: the request's id, for the audit log.

        Raises:
            UnknownState: the state is unknown, used or expired; nothing was stored.
        """
        consent, place, who = await self._consume(params.get("state", ""), address, request_id)
        return_url: str | None = consent.memory["return_url"]
        try:
            credential_id = await self._exchange_and_store(consent, place, who, params)
        except KeyrackError as error:
            reason, said = _reason(error), _said(error)
            async with self._store.unit(place.tenant_id, writes=True) as unit:
                await Rows(unit).fail(consent.id, f"{reason} ({': '.join(said.values())})" if said else reason)
            await self._access.record(who, place, "consent.complete", ("oauth-consent", consent.id))
            return Outcome(reason, said, return_url)
        return Outcome(None, return_url=_with_query(return_url, credential_id), credential_id=credential_id)

    async def _consume(
        self, state: str, address: str | None, request_id: str | None
    ) -> tuple[Consent, Location, Principal]:
        hashed = state_hash(state)
        async with self._store.installation() as unit:
            place = await Directory(unit).consent_by_state(hashed)
        if place is None:
            raise UnknownState
        async with self._store.unit(place.tenant_id, writes=True) as unit:
            consent = await Rows(unit).consume(hashed, self._clock())
        if consent is None:
            raise UnknownState
        async with self._store.installation() as unit:
            name = await Directory(unit).user_name(consent.user_id)
        who = Principal(
            PrincipalKind.user,
            consent.user_id,
            name or "",
            tenant_id=place.tenant_id,
            address=address,
            request_id=request_id,
        )
        return consent, place, who

    async def _exchange_and_store(
        self, consent: Consent, place: Location, who: Principal, params: Mapping[str, str]
    ) -> str:
        code = process_callback(params, consent.memory["issuer"])
        # Membership, visibility and client may have changed since the start (contract 0.17).
        async with self._access.at(who, place) as scope:
            plan, _ = await self._recheck(scope, consent)
        verifier = consent.memory["verifier"]
        request = build_token_request(
            profile_of(plan),
            code=code,
            redirect_uri=consent.memory["redirect_uri"],
            verifier=None if verifier is None else Secret(verifier),
        )
        tokens = process_token_response(await self._provider.send(request), sent=(code, plan.client_secret))
        # ... and again while the provider took its time.
        async with self._access.at(who, place, "consent.complete") as scope:
            plan, client = await self._recheck(scope, consent)
            if client is not None:
                await OAuthClients(scope.unit).touch(client.id)
            credential_id = await _store(scope, consent, plan.token_path, tokens)
            await Rows(scope.unit).complete(consent.id, credential_id)
            scope.touched("credential", credential_id)
        return credential_id

    async def _recheck(self, scope: Scope, consent: Consent) -> tuple[ResolvedOAuth2, OAuthClient | None]:
        """Judge once more what was judged at the start, and return the plan as it is now, with its client."""
        scope.require_that(scope.in_workspace, "you are no longer a member of the workspace")
        scope.require(_PERMISSION)
        component = await workspace_component(scope, consent.component_id or "")
        plan, _, client = await self._planner.plan(scope, component, consent.memory["fields"])
        if (plan.client_id, plan.token_endpoint) != (consent.memory["client_id"], consent.memory["token_endpoint"]):
            raise StateConflict("the OAuth client was changed while you were connecting; start again")
        return plan, client

    async def _base(self, scope: Scope) -> str:
        """Return the base of callback addresses (contract 0.7)."""
        if self._public_url is not None:
            return self._public_url
        tenant: Tenant | None = await Tenants(scope.unit).find(scope.unit.tenant_id)
        if tenant is None:
            raise NotFound
        return f"https://{tenant.app_domain}"


async def _stored_fields(scope: Scope, wanted: NewConsent) -> dict[str, Any]:
    """Return the stored values of the credential that is connected again."""
    if wanted.credential_id is None:
        return {}
    credential = await Credentials(scope.unit).find(wanted.credential_id)
    here = credential is not None and credential.workspace_id == scope.place.workspace_id
    if credential is None or not here or credential.component_id != wanted.component_id:
        raise RelatedNotFound("there is no such credential", pointer="/data/relationships/credential/data/id")
    return credential.keys


async def _store(scope: Scope, consent: Consent, path: tuple[str, ...], tokens: TokenResponse) -> str:
    rows = Credentials(scope.unit)
    fields: dict[str, Any] = consent.memory["fields"]
    if consent.credential_id is None:
        keys = merge_tokens(fields, path, tokens)
        added = await rows.add(
            consent.workspace_id, consent.component_id or "", consent.user_id, consent.memory["name"], keys
        )
        return added.id
    await rows.lock_to_change(consent.credential_id)
    credential = await rows.find(consent.credential_id)
    if credential is None:
        raise NotFound("the credential was deleted while you were connecting")
    # what is stored now, not at the start: another consent may have brought a newer refresh token
    current = {**credential.keys, **{name: value for name, value in fields.items() if name != path[0]}}
    await rows.replace(replace(credential, keys=merge_tokens(current, path, tokens)))
    return credential.id


def _shown(consent: Consent, status: ConsentStatus) -> Consent:
    expired = status is ConsentStatus.failed and consent.error is None
    return replace(consent, status=status, error="the consent has expired" if expired else consent.error)


def _reason(error: KeyrackError) -> str:
    """Say a failure to the person in front of the browser."""
    if isinstance(error, Forbidden):
        return f"You may not connect this account: {error}"
    return "; ".join(problem.detail for problem in error.problems)


def _said(error: KeyrackError) -> dict[str, str]:
    """Return what the provider said about a failure (RFC 6749 sections 4.1.2.1 and 5.2)."""
    meta = error.meta if isinstance(error, ProviderError) and error.meta else {}
    return {name: str(meta[name]) for name in ("error", "error_description", "error_uri") if meta.get(name)}


def _require_same_host(return_url: str, base: str) -> None:
    """A return URL must be on our own host, else the callback would be an open redirector (contract 0.7)."""
    try:
        given, own = urlsplit(return_url), urlsplit(base)
        same = (given.scheme, given.netloc) == (own.scheme, own.netloc) and given.username is None
    except ValueError:
        same = False
    if not same or "\\" in return_url or any(ord(character) <= 0x20 for character in return_url):  # noqa: PLR2004
        raise ValidationFailed(Problem(f"must be an address on {base}", "/data/attributes/return_url"))


def _with_query(return_url: str | None, credential_id: str) -> str | None:
    if return_url is None:
        return None
    base, hash_sign, fragment = return_url.partition("#")
    joint = "&" if "?" in base else "?"
    return f"{base}{joint}{urlencode({'credential_id': credential_id})}{hash_sign}{fragment}"
