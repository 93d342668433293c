"""Moves rotations of secrets on by themselves: tries the new secret, uses it or not, forgets the old one (decision 47).

One step at a time, each stored before the next, so that whoever takes over goes on from there: a step that was made and
not stored is made again, which costs one refresh more.
"""

from dataclasses import replace
from datetime import timedelta

import structlog

from keyrack.errors import DatabaseUnavailable, KeyrackError
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.rotations import RotatedClient, RotationState, SecretRotation, Trial, TrialResult
from keyrack.service.authz.access import ALLOWED, Scope
from keyrack.service.clients.live_secrets import next_try, tried, with_secret
from keyrack.service.clients.secret_swap import WORKER
from keyrack.service.diagnosis.subject import auth_client_subject, oauth_client_subject
from keyrack.service.rotation.rotated_clients import Client, entered, locked, read, rotations_of
from keyrack.service.rotation.secret_probe import SecretProbe
from keyrack.service.rotation.steps import RotationSteps
from keyrack.service.secrets.refresh.refresher import Refresher
from keyrack.service.secrets.refresh.secret_choice import SecretTrial
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.directory import Location
from keyrack.store.due_rotations import DueRotations

log = structlog.get_logger()

_AT_ONCE = 1
"""Of each type of client: they are moved on one after the other, which must not take longer than the lease."""


class RotationTrials:
    """Takes the next step of rotations that are due.

    Args:
        store: where the clients are.
        refresher: refreshes connections with a new secret.
        steps: moves rotations on.
        probe: tries a secret where no connection can be refreshed.
        lease: seconds for which a rotation is nobody else's; longer than one step of each type of client.
        public_url: the setting of this name.
        allow_insecure: accept http URLs and private addresses.
    """

    def __init__(
        self,
        store: Store,
        refresher: Refresher,
        steps: RotationSteps,
        probe: SecretProbe,
        *,
        lease: float,
        public_url: str | None,
        allow_insecure: bool,
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._steps = steps
        self._probe = probe
        self._lease = timedelta(seconds=lease)
        self._public_url = public_url
        self._allow_insecure = allow_insecure

    async def tick(self) -> int:
        """Take one step of each of a few rotations that are due; return how many were taken.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        async with self._store.installation() as unit:
            if not await DueRotations(unit).any():
                return 0
        async with self._store.installation(writes=True) as unit:
            claimed = await DueRotations(unit).claim(_AT_ONCE, self._lease)
        for due in claimed:
            try:
                await self._step(due)
            except DatabaseUnavailable:
                raise
            except KeyrackError as error:  # it is due again when its lease ends
                log.warning("a rotation could not be moved on", kind=due.kind, client=due.id, reason=str(error))
        return len(claimed)

    async def _step(self, due: RotatedClient) -> None:
        async with entered(self._store, due) as unit:
            client = await read(unit, due)
        rotation = None if client is None else client.rotation
        if client is None or rotation is None or client.second_secret is None:
            return
        if rotation.state is RotationState.promoted:
            await self._retire(due, rotation)
            return
        trial = await self._tried(due, client)
        after = tried(rotation, trial)
        if trial.result is TrialResult.accepted and (trial.secret_id is None or after.accepted >= rotation.sample):
            await self._move(due, after, RotationState.promoted)
        elif trial.result is TrialResult.refused and rotation.state is RotationState.trying:
            await self._move(due, after, RotationState.rolled_back)
        else:
            await self._note(due, after)

    async def _tried(self, due: RotatedClient, client: Client) -> Trial:
        """Try the new secret once: on a connection that it was not tried on yet, else on the client alone.

        Then the connections have their turn again: what was refused or unclear may not be so any more.
        """
        secret, rotation = client.second_secret, client.rotation
        assert secret is not None  # noqa: S101 - the caller has looked
        assert rotation is not None  # noqa: S101
        if isinstance(client, AuthClient) and is_oauth2(client.type):
            async with self._store.installation() as unit:
                sample = await DueRotations(unit).next_to_try(client.id, rotation.tried_on)
            if sample is not None:
                trial = SecretTrial(secret)
                await self._refresher.try_secret(sample.tenant_id, sample.secret_id, trial)
                result = trial.result or TrialResult.unclear
                error = trial.error if trial.result is not None else "busy"
                return Trial(self._store.clock(), result, error, sample.secret_id)
            if rotation.accepted:  # there are not more connections than these
                return Trial(self._store.clock(), TrialResult.accepted)
        async with entered(self._store, due) as unit:
            scope = Scope(unit, WORKER, Location(unit.tenant_id), frozenset())
            url, insecure = self._public_url, self._allow_insecure
            if isinstance(client, AuthClient):
                shown = with_secret(client, secret)
                subject = await auth_client_subject(scope, shown, url, allow_insecure=insecure)
            else:
                subject = await oauth_client_subject(scope, client, url, allow_insecure=insecure)
        result, error = await self._probe.result(subject, secret)
        return Trial(self._store.clock(), result, error)

    async def _move(self, due: RotatedClient, seen: SecretRotation, state: RotationState) -> None:
        """Use the new secret, or go on with the old one, if the rotation is as it was when the secret was tried."""
        async with entered(self._store, due, writes=True) as unit:
            client = await locked(unit, due)
            if client is None or not _is_same(client, seen):
                return
            after = await self._steps.move(unit, client, state, WORKER)
            kept = replace(after, trials=seen.trials, misses=seen.misses)  # what was tried is told beside the new state
            due_at = after.retires_at or next_try(kept, unit.clock())
            await rotations_of(unit, client).note_trial(due.id, kept, due_at)
            if state is RotationState.rolled_back:  # the swap to a new secret has told of itself
                await AuditLog(unit).append(WORKER, f"{due.kind}.roll-back-secret", (due.kind, due.id), ALLOWED)
        log.info("a client's new secret was tried", kind=due.kind, client=due.id, state=state.value)

    async def _note(self, due: RotatedClient, after: SecretRotation) -> None:
        async with entered(self._store, due, writes=True) as unit:
            client = await locked(unit, due)
            if client is not None and _is_same(client, after):
                await rotations_of(unit, client).note_trial(due.id, after, next_try(after, unit.clock()))

    async def _retire(self, due: RotatedClient, seen: SecretRotation) -> None:
        """Forget the old secret when its time has come."""
        async with entered(self._store, due, writes=True) as unit:
            client = await locked(unit, due)
            if client is None or not _is_same(client, seen):
                return
            if seen.retires_at is not None and seen.retires_at > unit.clock():
                await rotations_of(unit, client).note_trial(due.id, seen, seen.retires_at)
                return
            await self._steps.end(unit, client)
            await AuditLog(unit).append(WORKER, f"{due.kind}.retire-secret", (due.kind, due.id), ALLOWED)


def _is_same(client: Client, seen: SecretRotation) -> bool:
    now = client.rotation
    return now is not None and (now.began_at, now.changed_at) == (seen.began_at, seen.changed_at)
