"""Begins, moves and ends the rotation of a client's secret, in a transaction that has locked the client (decision 47).

Whoever calls has seen to who may do so, and writes it into the audit log.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyrack import metrics
from keyrack.crypto.secret import Secret
from keyrack.errors import NotFound, Problem, StateConflict, ValidationFailed
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.identity import Principal
from keyrack.model.rotations import RotationState, SecretRotation
from keyrack.oauth.client_auth import METHOD_OF, unfit_for
from keyrack.service.clients.auth_client_profile import stored_methods
from keyrack.service.clients.live_secrets import (
    MOST_TRIED,
    SAMPLE,
    begun,
    moved,
    next_try,
    secret_in_use,
)
from keyrack.service.clients.secret_expiry import OUT_OF_RANGE, POINTER, in_range
from keyrack.service.clients.secret_swap import SecretSwaps
from keyrack.service.rotation.rotated_clients import Client, rotations_of
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.core.unit import Unit

_SECRET = "/data/attributes/client_secret"  # noqa: S105 - a pointer
_LONGEST = 4096
_IS_NEW = {RotationState.trying: False, RotationState.rolled_back: False, RotationState.promoted: True}


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that is to take the place of a client's.

    Attributes:
        secret: as the provider gave it.
        expires_at: when it ends at the provider; None: nobody has said.
        sample: on how many connections it is tried before it is used.
    """

    secret: Secret = field(repr=False)
    expires_at: datetime | None = None
    sample: int = SAMPLE


class RotationSteps:
    """Steps of rotations.

    Args:
        swaps: exchanges the secrets of clients.
        lead: how long before its expiry a token is due, for connections that a refused client held up.
        retires_after: how long the old secret is kept.
    """

    def __init__(self, swaps: SecretSwaps, lead: timedelta, retires_after: timedelta) -> None:
        self._swaps = swaps
        self._lead = lead
        self._retires_after = retires_after

    async def begin(self, unit: Unit, client: Client, new: NewSecret) -> SecretRotation:
        """Keep a new secret beside the one in use; it is tried at once, and used where the old one is refused.

        A client that its provider rejects is asked for again, since the new secret may be what it lacks.

        Args:
            unit: of the client's owner.
            client: as it is stored.
            new: the secret.

        Raises:
            ValidationFailed: it cannot be the client's secret.
            StateConflict: the client has no secret, or this one, or is being rotated already.
        """
        if client.rotation is not None:
            raise StateConflict("the client's secret is being rotated already; end that first")
        _require_fit(client, new)
        now = unit.clock()
        rotation = begun(now, new.sample, new.expires_at)
        await rotations_of(unit, client).store_rotation(client.id, new.secret, rotation, now)
        if isinstance(client, AuthClient):
            await AuthClientHealth(unit).forgive(client.id)
            await AuthClientHealth(unit).revive(client.id, self._lead)
        metrics.secret_rotated(rotation.state.value)
        return rotation

    async def move(self, unit: Unit, client: Client, state: RotationState, who: Principal) -> SecretRotation:
        """Use the new secret or the old one, or try the new one again, whatever came of trying it.

        Raises:
            NotFound: the client's secret is not being rotated.
        """
        rotation, second = _rotation_of(client)
        if _IS_NEW[state] is not _IS_NEW[rotation.state]:
            if isinstance(client, AuthClient):
                swapped: Client = await self._swaps.use_other(unit, client, state, who)
            else:
                swapped = await self._swaps.use_other_of_oauth_client(unit, client, state, who)
            return _rotation_of(swapped)[0]
        now = unit.clock()
        after = moved(rotation, state, now, self._retires_after)
        due_at = after.retires_at or (now if state is RotationState.trying else next_try(after, now))
        await rotations_of(unit, client).store_rotation(client.id, second, after, due_at)
        metrics.secret_rotated(state.value)
        return after

    async def end(self, unit: Unit, client: Client) -> None:
        """Forget the secret that is not used: the old one, once the new one is, else the new one.

        Raises:
            NotFound: the client's secret is not being rotated.
        """
        _rotation_of(client)
        await rotations_of(unit, client).end_rotation(client.id)
        metrics.secret_rotated("ended")


def no_rotation() -> NotFound:
    """Return what is said of a client whose secret is not being rotated."""
    return NotFound("the client's secret is not being rotated")


def _rotation_of(client: Client) -> tuple[SecretRotation, Secret]:
    if client.rotation is None or client.second_secret is None:
        raise no_rotation()
    return client.rotation, client.second_secret


def _require_fit(client: Client, new: NewSecret) -> None:
    """Insist that a client can use a new secret.

    Raises:
        ValidationFailed: it cannot be a secret of the client's, ends out of range, or the sample is too large.
        StateConflict: the client has no secret that could be exchanged, or has this one.
    """
    if isinstance(client, AuthClient):
        own = secret_in_use(client) if is_oauth2(client.type) else ""
        client_id = str(client.credentials.get("client_id", ""))
        methods = stored_methods(client.credentials) if own else []
    else:
        own, client_id = client.client_secret.reveal(), client.client_id
        methods = [METHOD_OF[client.client_auth or "post"]]
    if not own:
        raise StateConflict("the client has no client_secret that could be rotated")
    text, problems = new.secret.reveal(), list[Problem]()
    if not text.strip() or len(text) > _LONGEST:
        problems.append(Problem(f"must be a string of 1 to {_LONGEST} characters, not only spaces", _SECRET))
    else:
        unfit = (unfit_for(method, client_id, text).get("client_secret") for method in methods)
        problems += [Problem(why, _SECRET) for why in dict.fromkeys(unfit) if why is not None]
    if new.expires_at is not None and not in_range(new.expires_at):
        problems.append(Problem(OUT_OF_RANGE, POINTER))
    if not 1 <= new.sample <= MOST_TRIED:
        problems.append(Problem(f"must be a whole number from 1 to {MOST_TRIED}", "/data/attributes/sample"))
    if problems:
        raise ValidationFailed(*problems)
    if text == own:
        raise StateConflict("this is the client's secret already")
