"""Revokes the tokens of a deleted secret at the provider (RFC 7009); never blocks the deletion.

`enqueue` belongs into the transaction that deletes the secret; a worker does the rest. Revoking twice does no harm
(RFC 7009 section 2.2), so a worker that dies between the call and its outcome leaves a job that is done again. A job
outlives its tenant: it is the installation's then, and so is the report.

A job has all tokens of a secret, the refresh token first: that ends the access tokens too where the server cascades
(RFC 7009 section 2.1, a SHOULD). Where it does not, the access token would live on, so it is sent as well. Each is
tried until its own outcome is there, and one report tells of all.

The registration of a deleted auth client is such a job too (`clients.deregistration`); the audit log tells of it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable, ValidationFailed
from keyrack.fair_share import Places
from keyrack.model import Json
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.events import EventType
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.client_assertion import AssertionSigner
from keyrack.oauth.client_auth import RequestAuthentication, TokenEndpointAuthMethod
from keyrack.oauth.dynamic_registration import build_delete_request, process_deletion
from keyrack.oauth.failure_classes import FailureClass, classify_failure
from keyrack.oauth.profiles.kinds import TokenTypeHint
from keyrack.oauth.profiles.reading import document_of, stored_profile
from keyrack.oauth.profiles.requests import as_asked
from keyrack.oauth.profiles.templates import TOKEN
from keyrack.oauth.revocation import build_revocation_request, process_revocation_response, revocable_tokens
from keyrack.oauth.wire import ClientCertificate
from keyrack.provider.client import ProviderClient
from keyrack.service.authz.access import ALLOWED, FAILED
from keyrack.service.clients.auth_client_credentials import REGISTRATION_ACCESS_TOKEN, REGISTRATION_CLIENT_URI
from keyrack.service.clients.auth_client_profile import client_profile
from keyrack.service.jobs.backoff import BackOff
from keyrack.service.jobs.claimed_jobs import ClaimedJobs, JobKind
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.outbox import Outbox
from keyrack.store.revocations import ClaimedRevocation, DueRevocations, Revocations, Subject
from keyrack.store.tenants import TenantRows

WORKER = Principal(PrincipalKind.system, "", "revocation")

BACK_OFF = BackOff(first=timedelta(seconds=5), factor=6, longest=timedelta(hours=1), tries=5)
"""5 s, 30 s, 3 min, 18 min: given up after less than half an hour."""

_AT_ONCE = 16
_SETTLING = timedelta(seconds=60)


class RevocationOutcome(StrEnum):
    """What became of a token, or of all of a secret; `outcome` of the event `secret.revoked`.

    All are `revoked` only if each is; `kept` are those of an import that was not cut over.
    """

    revoked = "revoked"
    failed = "failed"
    not_supported = "not_supported"
    kept = "kept"


async def enqueue(unit: Unit, secret: AuthSecret, client: AuthClient) -> None:
    """Have the tokens of a secret revoked that is deleted in this transaction.

    Refresh token and access token are revoked, if the auth client's credentials name a `revocation_uri`. Otherwise
    there is nothing to do, which is reported at once. Those of a secret that awaits its cutover are kept: the system
    that they came from uses them.

    Args:
        unit: of the secret's tenant; the deletion's own.
        secret: what is being deleted.
        client: its auth client.
    """
    subject = Subject(secret.id, secret.workspace_id, secret.auth_client_id)
    order = _order(secret, client)
    if secret.cutover_batch_id is not None:
        await _report(unit, subject, RevocationOutcome.kept, {})
    elif order is None:
        await _report(unit, subject, RevocationOutcome.not_supported, {})
    else:
        await Revocations(unit).add(subject, order)


async def enqueue_orphan(unit: Unit, secret: AuthSecret, client: AuthClient) -> None:
    """As `enqueue`, for tokens that arrive when what they were meant for is gone, perhaps its tenant too.

    Args:
        unit: of the tenant.
        secret: what the tokens would have been in; none of that id is stored.
        client: its auth client.
    """
    await enqueue(unit if await TenantRows(unit).hold() else unit.of_installation(), secret, client)


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one attempt at one token: an outcome, or None to try again."""

    outcome: RevocationOutcome | None
    facts: Json
    retry_after: int | None = None


_Results = Mapping[TokenTypeHint, _Result]


class Revoker:
    """Revokes what is due.

    Args:
        store: where the jobs are.
        client: what calls the providers.
        timeout: seconds a call of the client takes at most; a claim is held longer than one for each token.
        patience: seconds a `tick` waits for slow providers before it leaves them to the next one.
        back_off: how failed attempts are tried again.
    """

    def __init__(
        self,
        store: Store,
        client: ProviderClient,
        *,
        timeout: float,
        patience: float = 1.0,
        back_off: BackOff = BACK_OFF,
    ) -> None:
        self._store = store
        self._client = client
        of_all = timeout * len(TokenTypeHint)
        self._lease = timedelta(seconds=of_all) + _SETTLING
        self._back_off = back_off
        kind = JobKind(any_due=_any_due, claim=self._claim, work=self._revoke, most=_AT_ONCE, timeout=of_all)
        self._jobs = ClaimedJobs(store, kind, patience)

    async def tick(self) -> int:
        """Start revoking what is due; return how many attempts have ended since the last call.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        return await self._jobs.tick()

    async def close(self) -> None:
        """Let calls that are under way end; what does not end in time is due again later."""
        await self._jobs.close()

    async def _claim(self, unit: Unit, places: Places) -> Sequence[ClaimedRevocation]:
        return await DueRevocations(unit).claim(places, self._lease)

    async def _revoke(self, job: ClaimedRevocation) -> None:
        if job.order is not None and REGISTRATION_CLIENT_URI in job.order:
            await self._deregister(job, job.order)
            return
        results: _Results = {TokenTypeHint.REFRESH_TOKEN: _Result(RevocationOutcome.failed, {"reason": "unreadable"})}
        if job.order is not None:
            results = {hint: await self._try(job, hint, token) for hint, token in _tokens(job.order).items()}
        due_at = None
        if any(result.outcome is None for result in results.values()):
            waits = [result.retry_after for result in results.values() if result.retry_after is not None]
            due_at = self._back_off.next_try(job.attempts, self._store.clock(), max(waits, default=None))
        await self._settle(job, results, due_at)

    async def _deregister(self, job: ClaimedRevocation, order: Json) -> None:
        """Delete a client's registration (RFC 7592 section 2.3); what the server refuses is given up."""
        token, gone = Secret(order[REGISTRATION_ACCESS_TOKEN]), False
        with suppress(ValidationFailed, ProviderUnavailable):
            request = build_delete_request(order[REGISTRATION_CLIENT_URI], token)
            gone = process_deletion(await self._client.send(request, tenant_id=job.tenant_id))
        due_at = None if gone else self._back_off.next_try(job.attempts, self._store.clock(), None)
        async with self._store.unit(job.tenant_id, writes=True) as unit:
            if job.tenant_id != INSTALLATION and not await TenantRows(unit).hold():
                return
            if due_at is not None:
                await Revocations(unit).postpone(job.id, job.claim, due_at, None)
                return
            outcome = RevocationOutcome.revoked if gone else RevocationOutcome.failed
            if await Revocations(unit).finish(job.id, job.claim, outcome.value):
                done = ALLOWED if gone else FAILED
                target = ("auth-client", job.subject.auth_client_id)
                await AuditLog(unit).append(WORKER, "auth-client.deregister", target, done)

    async def _try(self, job: ClaimedRevocation, hint: TokenTypeHint, token: Secret) -> _Result:
        """Revoke one token, unless its outcome is there from an earlier attempt."""
        order: Json = job.order or {}
        ended = order.get(_ENDED, {}).get(hint.value)
        if ended is not None:
            return _Result(RevocationOutcome(ended["outcome"]), ended["facts"])
        try:
            await self._ask(job, order, hint, token, Secret(order["client_secret"]))
        except ValidationFailed:
            return _Result(RevocationOutcome.failed, {"reason": "forbidden_uri"})
        except ProviderUnavailable as error:
            return _Result(None, _told(error.failure), error.failure.retry_after)
        except ProviderError as error:
            second, refused = order.get(_SECOND), classify_failure(error) is FailureClass.CLIENT_REJECTED
            if second is not None and refused:  # the client's secret was being rotated
                return await self._try(
                    replace(job, order={**order, "client_secret": second, _SECOND: None}), hint, token
                )
            return _Result(RevocationOutcome.failed, _told(error.failure))
        return _Result(RevocationOutcome.revoked, {})

    async def _ask(
        self, job: ClaimedRevocation, order: Json, hint: TokenTypeHint, token: Secret, client_secret: Secret
    ) -> None:
        request = build_revocation_request(
            order["endpoint"],
            token,
            hint,
            RequestAuthentication(TokenEndpointAuthMethod(order["method"]), _signer(order)),
            order["client_id"],
            client_secret,
            _certificate(order),
        )
        sent = (*_tokens(order).values(), client_secret)
        provider = None if order.get(_PROVIDER) is None else stored_profile(order[_PROVIDER])
        if provider is not None:
            known = {"client_id": order["client_id"], "client_secret": client_secret.reveal(), TOKEN: token.reveal()}
            request = as_asked(request, provider.revocation, {**order.get(_VALUES, {}), **known})
        answer = await self._client.send(request, tenant_id=job.tenant_id)
        process_revocation_response(answer, sent, provider)

    async def _settle(self, job: ClaimedRevocation, results: _Results, due_at: datetime | None) -> None:
        async with self._store.unit(job.tenant_id, writes=True) as unit:
            # The tenant before its rows, as everybody who deletes it; if it has gone, the installation has the job.
            if job.tenant_id != INSTALLATION and not await TenantRows(unit).hold():
                return
            if due_at is not None:
                await Revocations(unit).postpone(job.id, job.claim, due_at, _with_ended(job.order, results))
                return
            outcome, facts = _as_one(results)
            if await Revocations(unit).finish(job.id, job.claim, outcome.value):
                await _report(unit, job.subject, outcome, facts)


async def _any_due(unit: Unit) -> bool:
    return await DueRevocations(unit).any()


_SIGNER, _PROVIDER, _CERTIFICATE, _VALUES = "signer", "provider_profile", "certificate", "values"
_SECOND = "second_secret"
_FURTHER, _ENDED = "further", "ended"
"""Members of an order: other tokens than its first, and what has become of some. Orders of older versions have neither,
and older versions revoke the first token of an order alone."""


def _order(secret: AuthSecret, client: AuthClient) -> Json | None:
    if not is_oauth2(secret.type):
        return None
    profile = client_profile(client, secret.auth_method, secret.credentials)
    if profile.revocation_endpoint is None:
        return None
    by = profile.of_revocations or profile.authentication
    revocable = revocable_tokens(profile.provider)
    tokens = {hint.value: secret.credentials.get(hint.value) for hint in revocable}
    held = [{"token": token, "hint": hint} for hint, token in tokens.items() if isinstance(token, str) and token]
    if not held:
        return None
    return {
        "endpoint": profile.revocation_endpoint,
        **held[0],
        _FURTHER: [each for each in held[1:] if each["token"] != held[0]["token"]],
        "method": by.method.value,
        "client_id": profile.client_id,
        "client_secret": profile.client_secret.reveal(),
        **({} if profile.second is None else {_SECOND: profile.second.client_secret.reveal()}),
        **({} if by.signer is None else {_SIGNER: _signer_order(by.signer)}),
        **({} if profile.provider is None else {_PROVIDER: document_of(profile.provider)}),
        **({_VALUES: dict(profile.values)} if profile.values else {}),
        **_certificate_order(profile.certificate),
    }


def _signer_order(signer: AssertionSigner) -> Json:
    return {
        "algorithm": signer.algorithm,
        "key": signer.key.reveal(),
        "key_id": signer.key_id,
        "audience": signer.audience,
    }


def _signer(order: Json) -> AssertionSigner | None:
    said = order.get(_SIGNER)
    if said is None:
        return None
    return AssertionSigner(said["algorithm"], Secret(said["key"]), said["key_id"], said["audience"])


def _certificate_order(certificate: ClientCertificate | None) -> Json:
    if certificate is None:
        return {}
    return {_CERTIFICATE: {"chain": certificate.chain, "key": certificate.key.reveal()}}


def _certificate(order: Json) -> ClientCertificate | None:
    said = order.get(_CERTIFICATE)
    return None if said is None else ClientCertificate(said["chain"], Secret(said["key"]))


def _tokens(order: Json) -> dict[TokenTypeHint, Secret]:
    """Return the tokens of an order, in the order in which they are revoked."""
    return {TokenTypeHint(each["hint"]): Secret(each["token"]) for each in (order, *order.get(_FURTHER, ()))}


def _with_ended(order: Json | None, results: _Results) -> Json | None:
    """Return an order that remembers what has become of its tokens, as far as that is over."""
    if order is None:
        return None
    ended = {
        hint.value: {"outcome": result.outcome.value, "facts": result.facts}
        for hint, result in results.items()
        if result.outcome is not None
    }
    return {**order, _ENDED: ended}


def _as_one(results: _Results) -> tuple[RevocationOutcome, Json]:
    """Tell what became of all tokens: the worst, with its reason; and of each, where that is not the same."""
    outcomes = {hint.value: (result.outcome or RevocationOutcome.failed) for hint, result in results.items()}
    facts = next((result.facts for result in results.values() if result.outcome is not RevocationOutcome.revoked), {})
    worst = RevocationOutcome.failed if RevocationOutcome.failed in outcomes.values() else RevocationOutcome.revoked
    if len(set(outcomes.values())) == 1:
        return worst, facts
    return worst, {**facts, "tokens": {name: outcome.value for name, outcome in outcomes.items()}}


def _told(failure: ProviderFailure) -> Json:
    """Return what of a failure is told: codes, never the provider's prose."""
    codes = {"reason": failure.reason, "status": failure.status, "error": failure.error}
    return {name: code for name, code in codes.items() if code is not None}


async def _report(unit: Unit, subject: Subject, outcome: RevocationOutcome, facts: Json) -> None:
    """Tell the tenant, if there is one, and write it down: `failed` if the token may still work, else `allowed`."""
    told = {
        "secret_id": subject.secret_id,
        "workspace_id": subject.workspace_id,
        "auth_client_id": subject.auth_client_id,
        "outcome": outcome.value,
    }
    if unit.tenant_id != INSTALLATION:
        await Outbox(unit).add(EventType.secret_revoked, told | facts)
    done = ALLOWED if outcome is RevocationOutcome.revoked else FAILED
    await AuditLog(unit).append(WORKER, "secret.revoke", ("auth-secret", subject.secret_id), done)
