"""Plays a profile against its twin through Keyrack's use cases, from consent to revocation."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from keyrack.conformance.installation import PUBLIC_URL, EmbeddedKeyrack
from keyrack.conformance.keys import SigningKey, signing_key
from keyrack.conformance.oauth1 import OAuth1Player
from keyrack.conformance.report import Outcome, Report, Step, lines_of
from keyrack.conformance.samples import filled_in, told
from keyrack.errors import KeyrackError, NotRefreshable, ValidationFailed
from keyrack.model.clients import AuthClient
from keyrack.model.consents import Consent, ConsentStatus
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS, AuthMethod, Grant
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import document_of
from keyrack.oauth.profiles.request_parts import EndpointRequest
from keyrack.service.clients.auth_client_values import NamedScope, NewAuthClient, ScopeKind
from keyrack.service.consents.values import NewConsent
from keyrack.service.secrets.changes import NewSecret
from keyrack.service.secrets.connection_check import CheckResult
from keyrack.simulator.twin.answers import rounds
from keyrack.simulator.twin.authority import ClientCertificate
from keyrack.simulator.twin.expectation import Difference
from keyrack.simulator.twin.oauth1 import OAuth1Twin
from keyrack.simulator.twin.orders import Reading
from keyrack.simulator.twin.registration import Registration
from keyrack.simulator.twin.state import ACCOUNT, ACCOUNT_ID
from keyrack.simulator.twin.twin import LIFETIME, REFUSAL, USER_CODE, VERIFICATION_URI, Twin
from keyrack.validation.unvalidated import Unvalidated

CLIENT_ID, CLIENT_SECRET = "twin+client/1", "a %secret+/=& of more than 32 letters"
"""What the twin knows the client by: with characters that have to be written otherwise in each place."""
SCOPES = ("read:all", "write/some")
"""Asked for where the profile has no scopes of its own."""
_LONGEST_WAIT, _LOOK = 30.0, 0.1
"""Seconds that a device's tokens are waited for at most, and between two looks."""
_POINTER = "/data/attributes/credentials/provider_profile"
_NEVER = "/authorization/starts_at_provider"
_NOT_BUILT = "cannot be used with auth clients yet"


async def played(made: EmbeddedKeyrack, profile: ProviderProfile) -> Report:
    """Return what came of testing a profile. It never raises for what is wrong with the profile.

    Args:
        made: where to test it; one profile after another.
        profile: which, as it was read.
    """
    report = Report(profile.name, profile.grant.value)
    if profile.grant is Grant.OAUTH1:
        return await _played_oauth1(made, profile, report)
    try:
        key = signing_key(profile, CLIENT_SECRET)
        values = filled_in(profile, "" if key is None else key.private)
        certificate = _certificate(made, profile)
        client = await _client(made, profile, values, key, certificate)
    except ValidationFailed as refused:
        report.steps.append(_refused(refused))
        return report
    report.steps.append(Step("profile", Outcome.held))
    registered = Registration(
        CLIENT_ID,
        "" if profile.client_authentication.method is AuthMethod.NONE else CLIENT_SECRET,
        f"{PUBLIC_URL}/callback/oauth2",
        values,
        () if profile.scopes.default else SCOPES,
        None if key is None else key.public,
        None if key is None else key.key_id,
        None if certificate is None else certificate.der,
    )
    for turn in range(rounds(profile.answer)):
        twin = Twin(profile, registered, told=told(profile, values), turn=turn)
        made.server.twin = twin
        player = _Player(made, profile, client, twin)
        steps = await player.connection(whole=turn == 0)
        report.requests += twin.requests if turn == 0 else ()
        report.steps += steps if turn == 0 else [each for each in steps if each.outcome is Outcome.differs]
    return report


async def _played_oauth1(made: EmbeddedKeyrack, profile: ProviderProfile, report: Report) -> Report:
    """Add to a report what comes of a profile of OAuth 1.0a, which components use and auth clients do not."""
    try:
        values = filled_in(profile)
    except ValidationFailed as refused:
        report.steps.append(_refused(refused))
        return report
    report.steps.append(Step("profile", Outcome.held))
    registered = Registration(CLIENT_ID, CLIENT_SECRET, f"{PUBLIC_URL}/callback/oauth1", values)
    twin = OAuth1Twin(Reading(profile, registered))
    made.server.twin = twin
    report.steps += await OAuth1Player(made, profile, twin).connection()
    report.requests += twin.requests
    return report


def _certificate(made: EmbeddedKeyrack, profile: ProviderProfile) -> ClientCertificate | None:
    """Return what a profile's client shows in TLS, known to the twins' server; None where it does without."""
    ways = [profile.client_authentication, *(each.client_authentication for each in _requests(profile))]
    if any(way is not None and way.method is AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH for way in ways):
        return made.server.authority.self_signed
    shown = any(way is not None and (way.mutual_tls or way.method is AuthMethod.TLS_CLIENT_AUTH) for way in ways)
    return made.server.authority.issued if shown else None


def _requests(profile: ProviderProfile) -> list[EndpointRequest]:
    said = (profile.token, profile.refresh, profile.exchange, profile.revocation, profile.introspection)
    return [each for each in said if each is not None]


async def _client(
    made: EmbeddedKeyrack,
    profile: ProviderProfile,
    values: dict[str, str],
    key: SigningKey | None,
    certificate: ClientCertificate | None,
) -> AuthClient:
    given: dict[str, Any] = {"client_id": CLIENT_ID, "provider_profile": document_of(profile)}
    if profile.client_authentication.method is not AuthMethod.NONE:
        given["client_secret"] = CLIENT_SECRET
    if key is not None and key.private and profile.assertion.key is None:
        given |= {"private_key": key.private, "key_id": key.key_id}
    if certificate is not None:
        given |= {"certificate": certificate.chain, "certificate_key": certificate.key}
    of_client = {name: value for name, value in values.items() if profile.inputs[name].per_client}
    if of_client:
        given["inputs"] = of_client
    new = NewAuthClient(profile.name, "oauth2", (), given)
    scope = Unvalidated(lambda: NamedScope(ScopeKind.tenant, made.tenant_id))
    view = await made.services.auth_clients.create(made.who, scope, Unvalidated(lambda: new))
    return view.client


def _refused(refused: ValidationFailed) -> Step:
    """Return why a profile cannot be tested: Keyrack does not do what it asks for, or something in it is wrong."""
    said = [((each.pointer or "").removeprefix(_POINTER), each.detail) for each in refused.problems]
    lines = [f"{detail} ({pointer})" if pointer else detail for pointer, detail in said]
    unable = all(pointer == _NEVER or _NOT_BUILT in detail for pointer, detail in said)
    return Step("profile", Outcome.refused if unable else Outcome.differs, lines)


class _Player:
    """One connection of a client at a twin."""

    def __init__(self, made: EmbeddedKeyrack, profile: ProviderProfile, client: AuthClient, twin: Twin) -> None:
        self._made = made
        self._services = made.services
        self._profile = profile
        self._client = client
        self._twin = twin
        self._told = 0

    async def connection(self, *, whole: bool) -> Sequence[Step]:
        """Connect, and do all that follows, as far as it goes.

        Args:
            whole: else only what changes with the places that the answers use.
        """
        first: list[Step] = []
        if self._profile.grant in DIRECT_GRANTS:
            first.append(self._step("consent", nothing="nobody has to agree"))
            token, secret_id = await self._direct()
        else:
            consent, location = await self._consent()
            first.append(consent)
            if not location:
                return first
            if self._profile.grant is Grant.DEVICE_CODE:
                token, secret_id = await self._device_tokens()
            else:
                token, secret_id = await self._token(location)
        if secret_id is None:
            return [*first, token]
        steps = [*first, token, await self._refresh(secret_id)]
        if whole:
            steps.append(await self._introspection(secret_id))
            steps.append(await self._error(secret_id))
            steps.append(await self._revoke(secret_id))
        return steps

    async def _direct(self) -> tuple[Step, str | None]:
        """Create a secret that gets its token by itself; return its id."""
        credentials: dict[str, Any] = {"fields": self._fields()}
        if not self._profile.scopes.default:
            credentials["scope"] = " ".join(SCOPES)
        new = NewSecret(self._client.id, "/data/relationships/auth_client", self._profile.name, credentials)
        try:
            made = await self._services.secrets.create(
                self._made.who, self._made.workspace_id, Unvalidated(lambda: new)
            )
        except KeyrackError as error:
            return self._step("token", lines_of(error)), None
        return self._judged(await self._secret(made.secret.id)), made.secret.id

    def _fields(self) -> dict[str, str]:
        """Return what is filled in for the connection."""
        inputs = self._profile.inputs
        return {name: value for name, value in self._twin.registered.values.items() if not inputs[name].per_client}

    async def _consent(self) -> tuple[Step, str]:
        """Start a consent and be the browser; return where that is sent back to."""
        scopes = None if self._profile.scopes.default else " ".join(SCOPES)
        new = NewConsent(auth_client_id=self._client.id, fields=self._fields(), scopes=scopes)
        try:
            started = await self._services.consents.start(
                self._made.who, self._made.workspace_id, Unvalidated(lambda: new)
            )
        except KeyrackError as error:
            return self._step("consent", lines_of(error)), ""
        self._consent_id = started.id
        if self._profile.grant is Grant.DEVICE_CODE:
            codes = started.context.device
            shown = None if codes is None else (codes.user_code, codes.verification_uri)
            problems = [] if shown == (USER_CODE, VERIFICATION_URI) else ["another code was read than was given"]
            return self._step("consent", problems), VERIFICATION_URI
        location = self._twin.open_in_browser(started.context.authorization_url or "")
        return self._step("consent"), location

    async def _device_tokens(self) -> tuple[Step, str | None]:
        """Wait for the tokens of a device, for which nobody has agreed at first; return the id of their secret."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_WAIT):
                while (done := await self._ended()).status is ConsentStatus.pending:
                    if await self._services.device_polling.tick():
                        self._twin.agrees = True
                    await asyncio.sleep(_LOOK)
        done = await self._ended()
        if done.result_id is None:
            return self._step("token", [done.error or "nobody asked for the tokens"]), None
        return self._judged(await self._secret(done.result_id)), done.result_id

    async def _ended(self) -> Consent:
        return await self._services.consents.get(self._made.who, self._made.workspace_id, self._consent_id)

    async def _token(self, location: str) -> tuple[Step, str | None]:
        """Come back with a code; return the id of the secret that is made of the tokens."""
        params = dict(parse_qsl(urlsplit(location).query))
        await self._services.callbacks.finish("oauth2", params, {}, None, None)
        done = await self._ended()
        if done.result_id is None:
            return self._step("token", [done.error or "the consent did not complete"]), None
        return self._judged(await self._secret(done.result_id)), done.result_id

    def _judged(self, secret: AuthSecret) -> Step:
        """Judge what was stored of the first tokens."""
        problems = self._tokens_differ(secret)
        if self._profile.grant not in DIRECT_GRANTS:  # whose account it is, is asked for people who connect theirs
            problems += self._account_differs(secret)
        problems += self._learned_differs(secret)
        if not self._twin.says_lifetime and not self._twin.turn:
            lifetime = self._profile.lifetimes.access_token
            if lifetime and secret.expires_at != _after(secret, lifetime):
                problems.append(f"the token should live {lifetime} seconds (/lifetimes/access_token)")
        elif secret.expires_at != _after(secret, LIFETIME):
            problems.append(f"the token should live {LIFETIME} seconds, as the answer says (/answer/expires_in)")
        return self._step("token", problems)

    async def _refresh(self, secret_id: str) -> Step:
        before = self._twin.access_token
        try:
            await self._services.secrets.refresh(self._made.who, self._made.workspace_id, secret_id)
        except NotRefreshable:
            if not self._twin.renews:
                return self._step("refresh", nothing="its tokens do not end, and there are no refresh tokens")
            return self._step("refresh", ["no refresh token was found in the answer (/answer/refresh_token)"])
        except KeyrackError as error:
            return self._step("refresh", lines_of(error))
        secret = await self._secret(secret_id)
        problems = list(self._tokens_differ(secret))
        problems += self._learned_differs(secret)
        if self._twin.access_token == before:
            problems.append("the twin was not asked for a new token")
        if secret.expires_at != _after(secret, LIFETIME):
            problems.append(f"the new token should live {LIFETIME} seconds, as the answer says (/answer/expires_in)")
        return self._step("refresh", problems)

    async def _introspection(self, secret_id: str) -> Step:
        """Test the connection, where the provider says whether the token works."""
        endpoints = self._profile.endpoints
        if endpoints.introspection is None:
            return self._step("introspection", nothing="the profile names no introspection endpoint")
        if endpoints.userinfo is not None:
            return self._step("introspection", nothing="connections are tested at the userinfo endpoint")
        check = await self._services.connection_checks.test(self._made.who, self._made.workspace_id, secret_id)
        problems = [] if check.result is CheckResult.works else [f"{check.text} (/introspection)"]
        if self._twin.access_token not in self._twin.introspected:
            problems.append("the twin was not asked about the token (/endpoints/introspection)")
        return self._step("introspection", problems)

    async def _error(self, secret_id: str) -> Step:
        """Refresh once more, and be refused for good."""
        if not self._twin.renews:
            return self._step("error", nothing="nothing is refreshed that could be refused")
        self._twin.refuses = True
        with suppress(KeyrackError):  # what it comes to is seen below
            await self._services.secrets.refresh(self._made.who, self._made.workspace_id, secret_id)
        secret = await self._secret(secret_id)
        problems = []
        if self._twin.refuses:
            problems.append("the twin was not asked, or found fault with the request before it refused")
        elif self._profile.grant in DIRECT_GRANTS:  # nobody can agree anew: it is tried again, and told meanwhile
            if secret.failure is None or secret.failure.error is None:
                problems.append("the code of the error was not found (/answer/error)")
        elif secret.state is not SecretState.error or secret.error_code is not ErrorCode.reauthorization_required:
            found = secret.error_code.value if secret.error_code else secret.state.value
            where = "/answer/fails_where, /answer/error, /answer/final_errors"
            problems.append(
                f"after an error for good the connection is {found}, not reauthorization_required ({where})"
            )
        elif self._twin.says_why and (secret.failure is None or secret.failure.error_description != REFUSAL):
            problems.append("the text of the error was not found (/answer/error_description)")
        return self._step("error", problems)

    async def _revoke(self, secret_id: str) -> Step:
        await self._services.secrets.delete(self._made.who, self._made.workspace_id, secret_id)
        if self._profile.endpoints.revocation is None:
            return self._step("revoke", nothing="the profile names no revocation endpoint")
        await self._services.revoker.tick()
        missing = set(self._twin.revocable) - set(self._twin.revoked)
        return self._step("revoke", ["not every token was revoked (/endpoints/revocation)"] if missing else [])

    async def _secret(self, secret_id: str) -> AuthSecret:
        view = await self._services.secrets.get(self._made.who, self._made.workspace_id, secret_id)
        return view.secret

    def _tokens_differ(self, secret: AuthSecret) -> list[str]:
        """Return what of the tokens is not what the twin has given."""
        twin, found = self._twin, secret.credentials
        problems = []
        if found.get("access_token") != twin.access_token:
            problems.append("another access token was read than was given (/answer/objects, /answer/access_token)")
        if (found.get("refresh_token") or "") != twin.refresh_token:
            problems.append("another refresh token was read than was given (/answer/refresh_token)")
        granted = self._profile.scopes.separator.join(twin.scopes)
        if twin.scopes and secret.missing_scopes:
            problems.append(f"scopes count as not granted: {', '.join(secret.missing_scopes)} (/answer/scope, /scopes)")
        if granted and self._profile.answer.scope and not found.get("scope"):
            problems.append("the granted scope was not found (/answer/scope)")
        return problems

    def _learned_differs(self, secret: AuthSecret) -> list[str]:
        """Return what was to be learned after connecting, or of the access token, and was not kept."""
        kept, filled_in = secret.credentials.get("undefined_params") or {}, self._fields()
        calls = [(number, name) for number, call in enumerate(self._profile.after_connecting) for name in call.tells]
        places = {name: f"/after_connecting/{number}" for number, name in reversed(calls)}
        places |= {name: f"/answer/token_claims/{name}" for name in self._profile.answer.token_claims}
        return [
            f"{name} was not kept of what the provider told ({place})"
            for name, place in places.items()
            if name not in filled_in and kept.get(name) != self._twin.told[name]
        ]

    def _account_differs(self, secret: AuthSecret) -> list[str]:
        """Return what of the account, and of what is learned, is not what the twin has told."""
        answer, problems = self._profile.answer, list[str]()
        kept = secret.credentials.get("undefined_params") or {}
        problems += [
            f"{name} was not kept of what the provider told (/answer/userinfo_learned/{name})"
            for name in answer.userinfo_learned
            if kept.get(name) != self._twin.told[name]
        ]
        if answer.account and secret.account.label != ACCOUNT:
            problems.append(f"the account is called {secret.account.label!r} and not {ACCOUNT!r} (/answer/account)")
        if answer.account_id and secret.account.subject != ACCOUNT_ID:
            problems.append(
                f"the account's id is {secret.account.subject!r} and not {ACCOUNT_ID!r} (/answer/account_id)"
            )
        return problems

    def _step(self, name: str, problems: Sequence[str] = (), nothing: str | None = None) -> Step:
        """Return a step with what the twin has found since the last one, which comes first: it explains the rest."""
        found: list[Difference] = self._twin.differences[self._told :]
        self._told = len(self._twin.differences)
        lines = [*map(str, found), *problems]
        if lines:
            return Step(name, Outcome.differs, lines)
        return Step(name, Outcome.held) if nothing is None else Step(name, Outcome.nothing, [nothing])


def _after(secret: AuthSecret, seconds: int) -> Any:
    return None if secret.issued_at is None else secret.issued_at + timedelta(seconds=seconds)
