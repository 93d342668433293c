"""Asks authorization servers for the tokens of devices until a person has decided (RFC 8628 sections 3.4 and 3.5).

Each poll is claimed under a lease, so that of all replicas one asks once in an interval. It goes through the journal as
every token request does: an answer with tokens that came before a crash is completed by recovery, and a poll that was
interrupted before its answer came is made again when its lease ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from keyrack.crypto.secret import Secret
from keyrack.errors import (
    BadRequest,
    DatabaseUnavailable,
    KeyrackError,
    ProviderError,
    ProviderUnavailable,
    StateConflict,
)
from keyrack.fair_share import Places
from keyrack.model.consents import Consent, ConsentStatus
from keyrack.model.identity import Principal
from keyrack.oauth.device import interval_after, wait_after_failures
from keyrack.oauth.wire import RawResponse
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.service.consents.values import ConsentDestination
from keyrack.service.jobs.claimed_jobs import ClaimedJobs, JobKind
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult, Attempts
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.device_polls import ClaimedPoll, DevicePollRows, DuePolls
from keyrack.store.directory import Directory, Location

_AT_ONCE = 32
_SETTLING = timedelta(seconds=20)
_LOST_ON_THE_WAY = (
    "The authorization server does not know the device code any more. An answer of it was lost on the way before,"
    " perhaps with the tokens. Start connecting again."
)


class CodeExpired(BadRequest):
    """The code was not entered in time, so nothing was connected. Start connecting again."""


class _Overtaken(StateConflict):
    """Somebody else has the poll by now."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A consent that waits for its person."""

    consent: Consent
    place: Location
    who: Principal

    @property
    def device_code(self) -> Secret:
        codes = self.consent.context.device
        if codes is None:  # polls are made of consents with codes
            raise LookupError("a device's consent without codes")
        return codes.device_code


class DevicePolling:
    """Polls what is due.

    Args:
        store: where consents and polls are.
        completion: asks for tokens, and does with them what is to be done.
        timeout: seconds that a call of a provider takes at most; a claim is held longer than that.
        patience: seconds that a `tick` waits for slow servers before it leaves them to the next one.
    """

    def __init__(self, store: Store, completion: ConsentCompletion, *, timeout: float, patience: float = 1.0) -> None:
        self._store = store
        self._completion = completion
        self._lease = timedelta(seconds=timeout) + _SETTLING
        kind = JobKind(any_due=_any_due, claim=self._claim, work=self._poll, most=_AT_ONCE, timeout=timeout)
        self._jobs = ClaimedJobs(store, kind, patience)

    async def tick(self) -> int:
        """Start the polls that are due; return how many have ended since the last call.

        Servers that are slow are left alone after a moment, so none holds others up; no tenant gets more than its
        share of the polls under way, nor do those whose server did not answer lately.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        return await self._jobs.tick()

    async def close(self) -> None:
        """Let polls that are under way end; what does not end in time is due again later."""
        await self._jobs.close()

    async def recover(self, attempt: Attempt) -> bool:
        """Settle a poll that was interrupted: finish what its answer says, if it came; else it is made again.

        Returns:
            Whether it is settled.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        if self._completion.is_finishing(attempt.subject_id):
            return False
        found = await self._waiting(attempt.tenant_id, attempt.subject_id)
        if found is None:
            return await self._completion.recover(attempt)
        kept, answer = await self._completion.answer_of(attempt)
        if kept is None:
            return True
        if answer is None:
            await self._completion.close(attempt, AttemptResult.ambiguous)
            async with self._store.unit(attempt.tenant_id, writes=True) as unit:
                await DevicePollRows(unit).release(attempt.subject_id, self._store.clock())
            return True
        with self._completion.finishing(found.consent):
            try:
                destination = await self._completion.destination(found.consent, found.place, found.who)
                await self._read(found, kept, answer, destination, None)
            except DatabaseUnavailable:
                raise
            except ProviderUnavailable:
                await self._forget_attempt(kept)
            except KeyrackError as error:
                await self._end(found, error)
        return True

    async def _claim(self, unit: Unit, places: Places) -> Sequence[ClaimedPoll]:
        return await DuePolls(unit).claim(places, self._lease)

    async def _poll(self, job: ClaimedPoll) -> None:
        found = await self._waiting(job.tenant_id, job.id)
        if found is None:
            await self._stop(job)
            return
        if found.consent.expires_at <= self._store.clock():
            await self._end(found, CodeExpired())
            return

        async def still_ours(unit: Unit) -> None:
            if not await DevicePollRows(unit).hold(job.id, job.claim):
                raise _Overtaken

        consent, place, who = found.consent, found.place, found.who
        with self._completion.finishing(consent):
            try:
                attempt, answer, destination = await self._completion.ask(
                    consent, place, who, found.device_code, AttemptKind.device, still_ours
                )
                await self._read(found, attempt, answer, destination, job)
            except DatabaseUnavailable:
                raise
            except _Overtaken:
                return
            except ProviderUnavailable as error:
                failures = job.failures + 1
                wait = max(wait_after_failures(job.interval, failures), error.failure.retry_after or 0)
                await self._wait(job, consent, wait, job.interval, failures)
            except KeyrackError as error:
                await self._end(found, error)

    async def _read(
        self,
        found: _Waiting,
        attempt: Attempt,
        answer: RawResponse,
        destination: ConsentDestination,
        job: ClaimedPoll | None,
    ) -> None:
        """Do what an answer says: wait on, or finish the consent.

        Args:
            found: whose answer it is.
            attempt: what was asked with.
            answer: what came.
            destination: where the tokens go.
            job: the poll, if it is still under way.

        Raises:
            ProviderUnavailable: it is no answer yet; the attempt is over.
            KeyrackError: nothing comes of the consent.
        """
        consent, lost = found.consent, job is not None and job.slow
        try:
            self._completion.read(consent, destination, answer, found.device_code)
        except ProviderUnavailable:
            await self._forget_attempt(attempt)
            raise
        except ProviderError as error:
            interval = interval_after(error, 0 if job is None else job.interval)
            if interval is not None:
                await self._forget_attempt(attempt)
                if job is not None:
                    await self._wait(job, consent, interval, interval, 0)
                return
            await self._completion.close(attempt, AttemptResult.refused)
            if lost and error.failure.error == "invalid_grant":
                raise ProviderError(_LOST_ON_THE_WAY, error.failure) from None
            raise
        async with self._store.unit(consent.tenant_id, writes=True) as unit:
            taken = await ConsentRows(unit).take(consent.id)
            await DevicePollRows(unit).end(consent.id)
        if not taken:  # somebody else has ended it; recovery sees to the tokens
            return
        ours = replace(consent, status=ConsentStatus.exchanging)
        try:
            await self._completion.complete(
                ours, found.place, found.who, attempt, answer, destination, found.device_code
            )
        except DatabaseUnavailable:
            raise
        except KeyrackError as error:
            await self._completion.fail(ours, found.place, found.who, error)

    async def _waiting(self, tenant_id: str, consent_id: str) -> _Waiting | None:
        """Return a consent that still waits; None if it is over, or gone."""
        async with self._store.unit(tenant_id) as unit:
            consent = await ConsentRows(unit).find(consent_id)
        if consent is None or consent.status is not ConsentStatus.pending or consent.context.device is None:
            return None
        async with self._store.installation() as unit:
            place = await Directory(unit).workspace(consent.workspace_id)
        return None if place is None else _Waiting(consent, place, await self._completion.person(consent, None, None))

    async def _wait(self, job: ClaimedPoll, consent: Consent, seconds: int, interval: int, failures: int) -> None:
        due_at = min(self._store.clock() + timedelta(seconds=seconds), consent.expires_at)
        async with self._store.unit(job.tenant_id, writes=True) as unit:
            await DevicePollRows(unit).postpone(job.id, job.claim, due_at, interval, failures)

    async def _forget_attempt(self, attempt: Attempt) -> None:
        """Forget an attempt that has ended as most do: nobody had decided. A row for each would be kept for weeks."""
        async with self._store.unit(attempt.tenant_id, writes=True) as unit:
            await Attempts(unit).landed(attempt.id)

    async def _end(self, found: _Waiting, error: KeyrackError) -> None:
        too_late = isinstance(error, CodeExpired)  # a connect link that is still good leads to another code then
        await self._completion.fail(found.consent, found.place, found.who, error, ends_link=not too_late)
        async with self._store.unit(found.consent.tenant_id, writes=True) as unit:
            await DevicePollRows(unit).end(found.consent.id)

    async def _stop(self, job: ClaimedPoll) -> None:
        async with self._store.unit(job.tenant_id, writes=True) as unit:
            await DevicePollRows(unit).end(job.id)


async def _any_due(unit: Unit) -> bool:
    return await DuePolls(unit).any()
