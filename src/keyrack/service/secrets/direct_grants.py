"""Gets the first tokens of connections that need no person, and new ones when what is filled in for them changes.

The provider is asked before anything is stored, and with no transaction open: what it refuses leaves no trace but the
audit log's. The request is not in the journal, since it can be made again whatever became of it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import (
    DatabaseUnavailable,
    Forbidden,
    KeyrackError,
    Problem,
    ProviderError,
    ProviderUnavailable,
    StateConflict,
    ValidationFailed,
)
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.secrets import AuthSecret, ProviderAccount
from keyrack.oauth.account import account_of
from keyrack.oauth.client_assertion import UnusableKeyError
from keyrack.oauth.direct_grants import MissingValueError, build_direct_request, secrets_sent
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.kinds import TokenTypeHint
from keyrack.oauth.scopes import split_scope
from keyrack.oauth.token_response import TokenResponse, process_token_response
from keyrack.oauth.wire import FormRequest
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.authz.access import Access
from keyrack.service.authz.references import refuse_taken
from keyrack.service.clients.auth_client_availability import available_client
from keyrack.service.clients.auth_client_profile import (
    FIELDS,
    client_profile,
    direct_grant,
    filled_in,
    new_key_for,
    origin_of,
)
from keyrack.service.clients.connection_inputs import kept_apart, usual_scopes
from keyrack.service.clients.live_secrets import second_after
from keyrack.service.secrets.after_connecting import AfterConnecting
from keyrack.service.secrets.changes import ChangedSecret, NewSecret, SecretOwner, bare, require_inputs
from keyrack.service.secrets.oauth2_credentials import POINTER, check_asked
from keyrack.service.secrets.refresh.awaiting_cutover import require_cut_over
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimiter
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.sending import send
from keyrack.service.secrets.refresh.tokens import first_granted, merged, without_grant
from keyrack.service.secrets.revocation import enqueue_orphan
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.validation.pointer import join
from keyrack.validation.unvalidated import Unvalidated

CREATE, EDIT = "workspaces.auth_secret.create", "workspaces.auth_secret.edit"
_FIELDS_POINTER = join(POINTER, FIELDS)
_TOO_MANY = 429
_TOKENS = frozenset(hint.value for hint in TokenTypeHint)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a provider gave, and what for.

    Attributes:
        tenant_id: whom it was asked for.
        client: the auth client that was asked with.
        credentials: of the secret, without tokens.
        scopes: what was asked for.
        tokens: what came.
        account: whose they are, as far as it came with them.
        at: when they came.
        dpop_key: what they are bound to, if they are (RFC 9449).
        before: of a secret that there was: what was filled in for it when the provider was asked.
        learned: what its profile has had asked for with the token, and is kept with the secret.
    """

    tenant_id: str
    client: AuthClient
    credentials: Json = field(repr=False)
    scopes: Sequence[str]
    tokens: TokenResponse
    account: ProviderAccount
    at: datetime
    dpop_key: Secret | None = None
    before: Json = field(default_factory=dict, repr=False)
    learned: Mapping[str, str] = field(default_factory=dict, repr=False)

    def in_secret(self, secret: AuthSecret, schedule: Schedule) -> AuthSecret:
        """Return a secret with all this in place of what it had."""
        asked = replace(secret, credentials=self.credentials, dpop_key=self.dpop_key)
        fresh = first_granted(asked, self.client, self.tokens, schedule, self.at, self.scopes)
        credentials = {**fresh.credentials}
        credentials["undefined_params"] = {**credentials.get("undefined_params", {}), **self.learned}
        return replace(fresh, account=self.account, credentials=credentials)

    def require_current(self, stored: AuthSecret) -> None:
        """Insist that nobody filled in something else for a secret while its provider was asked.

        Raises:
            StateConflict: somebody did.
        """
        if filled_in(stored.credentials) != self.before:
            raise StateConflict("the fields of the secret were changed by somebody else meanwhile; try again")


class DirectGrants:
    """Asks for tokens on behalf of those who create and change secrets.

    Args:
        store: where they are.
        access: the way into every operation.
        provider: what calls providers.
        limiter: who is called how often.
        after: makes the calls that profiles want made once there is a token.
        allow_insecure: accept http URLs and private addresses.
        clock: the time.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        provider: ProviderClient,
        limiter: ProviderLimiter,
        after: AfterConnecting,
        *,
        allow_insecure: bool,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access = access
        self._provider = provider
        self._limiter = limiter
        self._after = after
        self._allow_insecure = allow_insecure
        self._clock = clock

    async def first(self, who: Principal, workspace_id: str, new: Unvalidated[NewSecret]) -> Granted | None:
        """Return the tokens of a secret that is to be created.

        Returns:
            None if the caller brings a token, the auth client has another grant, or the creation will be refused.

        Raises:
            ValidationFailed: the provider cannot be asked with what was filled in.
            RelatedNotFound: the auth client is not available in the workspace.
            ProviderError, ProviderUnavailable: it gives none.
        """
        try:
            wanted = new.validated()
        except KeyrackError:
            return None
        if wanted.credentials.get("access_token") is not None:
            return None
        place = await self._access.locate("workspace", workspace_id)
        try:
            async with self._access.at(who, place, precheck="secret.create") as scope:
                scope.require(CREATE)
                scope.require_that(who.kind is PrincipalKind.user, "a secret belongs to the user who creates it")
                await refuse_taken(scope, "auth-secret", wanted.given_id)
                client = await available_client(scope, wanted.auth_client_id, pointer=wanted.auth_client_pointer)
        except Forbidden:  # refused, and written down as refused, where the secret would be created
            return None
        if direct_grant(client) is None:
            return None
        credentials = kept_apart(client, check_asked(wanted.credentials))
        scopes = split_scope(credentials.pop("scope", ""))
        try:
            return await self._ask(client, credentials, scopes, place.tenant_id, new_key_for(client))
        except (ProviderError, ProviderUnavailable):
            await self._access.record(who, place, "secret.create", ("auth-client", client.id))
            raise

    async def again(
        self, who: Principal, workspace_id: str, secret_id: str, new: Callable[[AuthSecret], ChangedSecret]
    ) -> Granted | None:
        """Return the tokens of a secret for which something else is to be filled in, or asked for.

        Returns:
            None if it is not about that, or the change will be refused.

        Raises:
            ValidationFailed: the provider cannot be asked with what was filled in.
            StateConflict: the secret awaits its cutover.
            ProviderError, ProviderUnavailable: it gives none.
        """
        place = await self._access.locate("workspace", workspace_id)
        try:
            async with self._access.at(who, place, precheck="secret.edit") as scope:
                scope.require(EDIT)
                stored = await AuthSecrets(scope.unit).find(secret_id)
                if stored is None or stored.workspace_id != workspace_id:
                    return None
                client = await find_usable(scope.unit, stored.auth_client_id)
        except Forbidden:
            return None
        if client is None or direct_grant(client) is None:
            return None
        changes = new(stored).credentials or {}
        if changes.get("access_token") is not None or not {FIELDS, "scope"} & changes.keys():
            return None
        require_cut_over(stored)
        checked = check_asked(changes)
        scopes = split_scope(checked.get("scope", "")) if "scope" in changes else stored.requested_scopes
        changed = {name: checked.get(name) for name in changes if name != "scope"}
        whole = {**without_grant(stored.credentials), **changed}
        whole = {name: value for name, value in whole.items() if value is not None}
        try:
            made = await self._ask(client, kept_apart(client, whole), scopes, place.tenant_id, stored.dpop_key)
        except (ProviderError, ProviderUnavailable):
            await self._access.record(who, place, "secret.edit", ("auth-secret", secret_id))
            raise
        return replace(made, before=filled_in(stored.credentials))

    async def discard(self, granted: Granted, owner: SecretOwner, secret_id: str) -> None:
        """Have tokens revoked that are stored nowhere, unless a secret of that id is there, which may have the same."""
        with suppress(DatabaseUnavailable):
            async with self._store.unit(owner.tenant_id, writes=True) as unit:
                if await AuthSecrets(unit).find(secret_id) is not None:
                    return
                await self._revoke(unit, granted, owner, secret_id, {})

    async def discard_beside(self, granted: Granted, owner: SecretOwner, secret_id: str) -> None:
        """Have tokens revoked that a secret was to have and has not, but for those that it has all the same.

        They are revoked under an id of their own: the secret, if it is still there, goes on working.
        """
        with suppress(DatabaseUnavailable):
            async with self._store.unit(owner.tenant_id, writes=True) as unit:
                stored = await AuthSecrets(unit).find(secret_id)
                await self._revoke(unit, granted, owner, new_id(), {} if stored is None else stored.credentials)

    async def _revoke(
        self, unit: Unit, granted: Granted, owner: SecretOwner, secret_id: str, in_use: Mapping[str, Any]
    ) -> None:
        empty = bare(owner, granted.client, granted.client.name, None, granted.at)
        held = {in_use.get(name) for name in _TOKENS}
        kept = merged(granted.credentials, granted.tokens)
        kept = {name: value for name, value in kept.items() if name not in _TOKENS or value not in held}
        if not _TOKENS.isdisjoint(kept):
            await enqueue_orphan(unit, replace(empty, id=secret_id, credentials=kept), granted.client)

    async def _ask(
        self, client: AuthClient, credentials: Json, scopes: Sequence[str], tenant_id: str, key: Secret | None
    ) -> Granted:
        require_inputs(client, credentials)
        scopes = scopes or usual_scopes(client)
        profile = replace(client_profile(client, None, credentials), proof_key=key)
        if not profile.token_endpoint:
            raise ValidationFailed(Problem("the provider's address cannot be made of these", _FIELDS_POINTER))
        check_uri(profile.token_endpoint, allow_insecure=self._allow_insecure, pointer=_FIELDS_POINTER)
        request = _request(profile, scopes)
        try:
            tokens = await self._tokens(profile, request, tenant_id)
        except ProviderError as error:
            second = second_after(profile, error)
            if second is None:
                raise
            profile = replace(second, proof_key=key)
            request = _request(profile, scopes)
            tokens = await self._tokens(profile, request, tenant_id)
        sent = [token for token in (tokens.access_token, tokens.refresh_token) if token is not None]
        account = account_of(
            profile.account, response=tokens.members, claims={}, sent=[*sent, *secrets_sent(profile, request)]
        )
        learned = await self._after.learn(profile, tokens, {}, tenant_id=tenant_id)
        return Granted(tenant_id, client, credentials, scopes, tokens, account, self._clock(), key, learned=learned)

    async def _tokens(self, profile: ClientProfile, request: FormRequest, tenant_id: str) -> TokenResponse:
        """Ask the provider in turn, and tell the limiter how it answers."""
        async with self._limiter.admit(tenant_id, origin_of(request.url)) as admission:
            try:
                answer = await send(self._provider, request, tenant_id=tenant_id)
                admission.call_over()
                tokens = process_token_response(answer, provider=profile.provider, sent=secrets_sent(profile, request))
            except ProviderUnavailable as error:
                (admission.answered if error.failure.status == _TOO_MANY else admission.failed)()
                raise
            except ProviderError:
                admission.answered()
                raise
            admission.answered()
        if tokens.unusable is not None:
            raise ProviderError(f"The authorization server {tokens.unusable}; nothing was stored.")
        return tokens


def _request(profile: ClientProfile, scopes: Sequence[str]) -> FormRequest:
    try:
        return build_direct_request(profile, scopes)
    except (MissingValueError, UnusableKeyError) as error:
        raise ValidationFailed(Problem(f"no token can be asked for with these: {error}", _FIELDS_POINTER)) from None
