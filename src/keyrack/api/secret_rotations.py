"""`.../secret-rotation` of auth clients and OAuth clients (extension, decision 47). No document shows a secret."""

from typing import Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from keyrack.api.core.body import require_id
from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import Single
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.model.rotations import RotationState, SecretRotation, Trial, TrialResult
from keyrack.service.clients.live_secrets import SAMPLE
from keyrack.service.rotation.secret_rotations import SecretRotations
from keyrack.service.rotation.steps import NewSecret
from keyrack.validation.fields import Time

KIND = "client-secret-rotation"


class NewSecretAttributes(msgspec.Struct):
    """A new secret; when it ends; on how many connections it is tried."""

    client_secret: str
    secret_expires_at: Time | UnsetType | None = UNSET
    sample: int = SAMPLE


class NewRotation(msgspec.Struct):
    """The data of a request to begin."""

    type: Literal["client-secret-rotation"]
    attributes: NewSecretAttributes


class BeginRotationBody(msgspec.Struct):
    """A request to begin."""

    data: NewRotation

    def command(self) -> NewSecret:
        """Return what is wanted."""
        given = self.data.attributes
        ends = None if isinstance(given.secret_expires_at, UnsetType) else given.secret_expires_at
        return NewSecret(Secret(given.client_secret), ends, given.sample)


class WantedState(msgspec.Struct):
    """The state that is wanted."""

    state: RotationState


class ChangedRotation(msgspec.Struct):
    """The data of a request to move on by hand."""

    type: Literal["client-secret-rotation"]
    attributes: WantedState
    id: str | UnsetType = UNSET


class MoveRotationBody(msgspec.Struct):
    """A request to move on by hand."""

    data: ChangedRotation


class TrialDocument(msgspec.Struct):
    """One request with the new secret: `on` a connection, or with the client alone."""

    at: str
    on: Literal["connection", "client"]
    result: TrialResult
    error: str | UnsetType = UNSET


class RotationAttributes(msgspec.Struct):
    """How a rotation stands."""

    state: RotationState
    in_use: Literal["old", "new"]
    began_at: str
    changed_at: str
    sample: int
    accepted: int
    trials: list[TrialDocument]
    old_secret_retires_at: str | UnsetType = UNSET


class RotationResource(msgspec.Struct):
    """A rotation; its id is the client's."""

    id: str
    attributes: RotationAttributes
    type: Literal["client-secret-rotation"] = "client-secret-rotation"


class AuthClientRotationController(Controller):
    """Rotations of auth clients' secrets."""

    path = "/v2/auth-clients/{auth_client_id:str}/secret-rotation"
    tags = ("Auth clients",)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def begin(
        self,
        auth_client_id: PATH_ID,
        data: Body[BeginRotationBody],
        who: Who,
        secret_rotations: NamedDependency[SecretRotations],
    ) -> Single[RotationResource]:
        """Add a new secret to an auth client; it is tried, and used when that works (extension, decision 47)."""
        new = data.then(BeginRotationBody.command)
        return _document(auth_client_id, await secret_rotations.begin_for_auth_client(who, auth_client_id, new))

    @get(responses=Refusals.of(403, 404))
    async def retrieve(
        self, auth_client_id: PATH_ID, who: Who, secret_rotations: NamedDependency[SecretRotations]
    ) -> Single[RotationResource]:
        """Return how the rotation of an auth client's secret stands (extension, decision 47)."""
        return _document(auth_client_id, await secret_rotations.of_auth_client(who, auth_client_id))

    @patch(responses=Refusals.of(400, 403, 404, 409, body=True))
    async def move(
        self,
        auth_client_id: PATH_ID,
        data: Body[MoveRotationBody],
        who: Who,
        secret_rotations: NamedDependency[SecretRotations],
    ) -> Single[RotationResource]:
        """Use the new secret, the old one, or try the new one again, by hand (extension, decision 47)."""

        def wanted(body: MoveRotationBody) -> RotationState:
            return _state(body, auth_client_id)

        moved = await secret_rotations.move_of_auth_client(who, auth_client_id, data.then(wanted))
        return _document(auth_client_id, moved)

    @delete(responses=Refusals.of(403, 404, 409))
    async def end(self, auth_client_id: PATH_ID, who: Who, secret_rotations: NamedDependency[SecretRotations]) -> None:
        """Forget the secret of an auth client that is not used, which ends the rotation (extension, decision 47)."""
        await secret_rotations.end_of_auth_client(who, auth_client_id)


class OAuthClientRotationController(Controller):
    """Rotations of OAuth clients' secrets."""

    path = "/v2/tenants/{tenant_id:str}/oauth-clients/{oauth_client_id:str}/secret-rotation"
    tags = ("OAuth clients",)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def begin(
        self,
        tenant_id: PATH_ID,
        oauth_client_id: PATH_ID,
        data: Body[BeginRotationBody],
        who: Who,
        secret_rotations: NamedDependency[SecretRotations],
    ) -> Single[RotationResource]:
        """Add a new secret to an OAuth client; it is tried, and used when that works (extension, decision 47)."""
        new = data.then(BeginRotationBody.command)
        begun = await secret_rotations.begin_for_oauth_client(who, tenant_id, oauth_client_id, new)
        return _document(oauth_client_id, begun)

    @get(responses=Refusals.of(403, 404))
    async def retrieve(
        self,
        tenant_id: PATH_ID,
        oauth_client_id: PATH_ID,
        who: Who,
        secret_rotations: NamedDependency[SecretRotations],
    ) -> Single[RotationResource]:
        """Return how the rotation of an OAuth client's secret stands (extension, decision 47)."""
        return _document(oauth_client_id, await secret_rotations.of_oauth_client(who, tenant_id, oauth_client_id))

    @patch(responses=Refusals.of(400, 403, 404, 409, body=True))
    async def move(
        self,
        tenant_id: PATH_ID,
        oauth_client_id: PATH_ID,
        data: Body[MoveRotationBody],
        who: Who,
        secret_rotations: NamedDependency[SecretRotations],
    ) -> Single[RotationResource]:
        """Use the new secret, the old one, or try the new one again, by hand (extension, decision 47)."""

        def wanted(body: MoveRotationBody) -> RotationState:
            return _state(body, oauth_client_id)

        moved = await secret_rotations.move_of_oauth_client(who, tenant_id, oauth_client_id, data.then(wanted))
        return _document(oauth_client_id, moved)

    @delete(responses=Refusals.of(403, 404, 409))
    async def end(
        self,
        tenant_id: PATH_ID,
        oauth_client_id: PATH_ID,
        who: Who,
        secret_rotations: NamedDependency[SecretRotations],
    ) -> None:
        """Forget the secret of an OAuth client that is not used, which ends the rotation (extension, decision 47)."""
        await secret_rotations.end_of_oauth_client(who, tenant_id, oauth_client_id)


def _state(body: MoveRotationBody, client_id: str) -> RotationState:
    require_id(body.data.id, client_id)
    return body.data.attributes.state


def _document(client_id: str, rotation: SecretRotation) -> Single[RotationResource]:
    retires = rotation.retires_at
    attributes = RotationAttributes(
        state=rotation.state,
        in_use="new" if rotation.state is RotationState.promoted else "old",
        began_at=iso(rotation.began_at),
        changed_at=iso(rotation.changed_at),
        sample=rotation.sample,
        accepted=rotation.accepted,
        trials=[_trial(each) for each in rotation.trials],
        old_secret_retires_at=UNSET if retires is None else iso(retires),
    )
    return Single(RotationResource(client_id, attributes))


def _trial(trial: Trial) -> TrialDocument:
    on: Literal["connection", "client"] = "client" if trial.secret_id is None else "connection"
    return TrialDocument(iso(trial.at), on, trial.result, trial.error or UNSET)
