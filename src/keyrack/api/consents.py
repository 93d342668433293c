"""`/v2/workspaces/{W}/oauth-consents` (extension, contract 0.3 and 20.2)."""

from dataclasses import replace
from typing import Any, Literal

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from keyrack.api.core.body import or_none
from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import Linkage, Relationship, Single, Text, related
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.consents import Consent, ConsentStatus
from keyrack.oauth.protected_resource import bearer_challenge
from keyrack.service.consents.start import ConsentStart
from keyrack.service.consents.values import NewConsent

_STATUS = Literal["pending", "completed", "failed"]


class ComponentLinkage(msgspec.Struct):
    """Linkage to a component."""

    id: Text
    type: Literal["component"]


class CredentialLinkage(msgspec.Struct):
    """Linkage to a credential that is connected again."""

    id: Text
    type: Literal["credential"]


class AuthClientLinkage(msgspec.Struct):
    """Linkage to an auth client (second generation)."""

    id: Text
    type: Literal["auth-client"]


class SecretLinkage(msgspec.Struct):
    """Linkage to an auth secret that is connected again."""

    id: Text
    type: Literal["auth-secret"]


class ConsentChoices(msgspec.Struct):
    """What somebody chose before an account is connected; `scopes` count with an auth client only."""

    name: Text | UnsetType = UNSET
    fields: dict[str, Any] | UnsetType = UNSET
    scopes: str | list[str] | UnsetType = UNSET
    additional_params: dict[str, str | int | float | bool] | UnsetType = UNSET
    return_url: Text | UnsetType = UNSET


class NewConsentAttributes(ConsentChoices):
    """What the user chose before pressing Authenticate; `scopes` count with an auth client only.

    `challenge` is the value of the `WWW-Authenticate` header with which a protected resource refused a token: the
    scopes that it names are asked for beside those of before, as with `include_granted_scopes` those in `scopes` are.

    With `bound`, `authorization_url` is a link on our own host. It tells whoever opens it who asks for what, and only
    the browser that goes on from there can finish the consent.
    """

    bound: bool | UnsetType = UNSET
    challenge: Text | UnsetType = UNSET
    include_granted_scopes: bool | UnsetType = UNSET


class NewConsentRelationships(msgspec.Struct):
    """What to connect: a component (first generation), or an auth client and perhaps a component (second).

    A credential or secret is named to connect it again.
    """

    component: Linkage[ComponentLinkage] | UnsetType = UNSET
    credential: Linkage[CredentialLinkage] | UnsetType = UNSET
    auth_client: Linkage[AuthClientLinkage] | UnsetType = UNSET
    auth_secret: Linkage[SecretLinkage] | UnsetType = UNSET


class StartConsent(msgspec.Struct):
    """Data of a request to start a consent."""

    type: Literal["oauth-consent"]
    relationships: NewConsentRelationships
    attributes: NewConsentAttributes = msgspec.field(default_factory=NewConsentAttributes)


class StartConsentBody(msgspec.Struct):
    """Body of a request to start a consent."""

    data: StartConsent


class ConsentAttributes(msgspec.Struct):
    """Where to send the browser, and how far it has come."""

    status: _STATUS
    expires_at: str
    authorization_url: str | UnsetType = UNSET
    authorization_url_expires_at: str | UnsetType = UNSET
    user_code: str | UnsetType = UNSET
    verification_uri: str | UnsetType = UNSET
    verification_uri_complete: str | UnsetType = UNSET
    interval: int | UnsetType = UNSET
    error: str | UnsetType = UNSET


class ConsentRelationships(msgspec.Struct):
    """What a completed consent made."""

    credential: Relationship | UnsetType = UNSET
    auth_secret: Relationship | UnsetType = UNSET


class ConsentResource(msgspec.Struct):
    """A running authorization."""

    id: str
    attributes: ConsentAttributes
    type: Literal["oauth-consent"] = "oauth-consent"
    relationships: ConsentRelationships | UnsetType = UNSET


class ConsentController(Controller):
    """Consents of a workspace."""

    path = "/v2/workspaces/{workspace_id:str}/oauth-consents"
    tags = ("Consents",)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def start(
        self, workspace_id: PATH_ID, data: Body[StartConsentBody], who: Who, consents: NamedDependency[ConsentStart]
    ) -> Single[ConsentResource]:
        """Start a consent; send the user's browser to `authorization_url` (20.2)."""
        return Single(_resource(await consents.start(who, workspace_id, data.then(_command))))

    @get("/{consent_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(
        self, workspace_id: PATH_ID, consent_id: PATH_ID, who: Who, consents: NamedDependency[ConsentStart]
    ) -> Single[ConsentResource]:
        """Return a consent to the user who started it (20.2)."""
        return Single(_resource(await consents.get(who, workspace_id, consent_id)))


_NOTHING_NAMED = (
    "component is required (first generation), or auth_client (second): a component with authClientTypes is connected"
    " with an auth client"
)


def _command(body: StartConsentBody) -> NewConsent:
    given = body.data.attributes
    wanted = replace(wanted_consent(given, body.data.relationships), bound=given.bound is True)
    if given.challenge is UNSET and given.include_granted_scopes is not True:
        return wanted
    if wanted.auth_client_id is None:
        named = "challenge" if given.include_granted_scopes is not True else "include_granted_scopes"
        raise ValidationFailed(Problem("goes with an auth client only", f"/data/attributes/{named}"))
    challenge = None if given.challenge is UNSET else bearer_challenge(given.challenge)
    if challenge is None and given.challenge is not UNSET:
        problem = "must be the value of a WWW-Authenticate header with a Bearer or DPoP challenge"
        raise ValidationFailed(Problem(problem, "/data/attributes/challenge"))
    scopes = () if challenge is None else challenge.scopes
    return replace(wanted, challenge_scopes=scopes, include_granted_scopes=True)


def wanted_consent(given: ConsentChoices, about: NewConsentRelationships) -> NewConsent:
    """Return what is to be connected, as a body says it.

    Raises:
        ValidationFailed: nothing is named, or what does not go together.
    """
    client, secret = _named(about.auth_client), _named(about.auth_secret)
    component, credential = _named(about.component), _named(about.credential)
    if client is None and component is None:
        raise ValidationFailed(Problem(_NOTHING_NAMED, "/data/relationships/component"))
    if client is None and secret is not None:
        raise ValidationFailed(Problem("auth_client is required with auth_secret", "/data/relationships/auth_secret"))
    if client is not None and credential is not None:
        raise ValidationFailed(Problem("cannot be combined with auth_client", "/data/relationships/credential"))
    extra = {} if given.additional_params is UNSET else given.additional_params
    return NewConsent(
        component_id=component,
        credential_id=credential,
        auth_client_id=client,
        auth_secret_id=secret,
        name=or_none(given.name),
        fields={} if given.fields is UNSET else given.fields,
        scopes=" ".join(given.scopes) if isinstance(given.scopes, list) else given.scopes or None,
        additional_params={name: _text(value) for name, value in extra.items()},
        return_url=or_none(given.return_url),
    )


def _named(linkage: Linkage[Any] | UnsetType) -> str | None:
    return None if linkage is UNSET else linkage.data.id


def _text(value: str | float | bool) -> str:  # noqa: FBT001 - a JSON scalar
    return str(value).lower() if isinstance(value, bool) else str(value)


def _address(consent: Consent) -> str | UnsetType:
    """Return where the user's browser is to go first: of a bound consent that is on our own host."""
    address = consent.context.link or consent.context.authorization_url
    return UNSET if address is None else address


def _add_what_the_person_needs(attributes: ConsentAttributes, consent: Consent) -> None:
    """Add the codes of a device, and how long a pushed request counts; of a bound consent our own page has them."""
    if consent.bound:
        return
    codes, pushed = consent.context.device, consent.context.pushed
    if pushed is not None:
        attributes.authorization_url_expires_at = iso(pushed.expires_at)
    if codes is not None:
        attributes.user_code = codes.user_code
        attributes.verification_uri = codes.verification_uri
        attributes.verification_uri_complete = codes.verification_uri_complete or UNSET
        attributes.interval = codes.interval


def _resource(consent: Consent) -> ConsentResource:
    pending = consent.status is ConsentStatus.pending
    attributes = ConsentAttributes(
        status=consent.status.value,  # type: ignore[arg-type] # the service never shows `exchanging`
        expires_at=iso(consent.expires_at),
        authorization_url=_address(consent) if pending else UNSET,
        error=consent.error if consent.error is not None else UNSET,
    )
    if pending:
        _add_what_the_person_needs(attributes, consent)
    made = made_by_consent(consent.result_id, consent.workspace_id, consent.auth_client_id)
    return ConsentResource(consent.id, attributes, relationships=made)


def made_by_consent(
    result_id: str | None, workspace_id: str, auth_client_id: str | None
) -> ConsentRelationships | UnsetType:
    """Return the relationship to what a consent made: a secret if it named an auth client, else a credential."""
    if result_id is None:
        return UNSET
    if auth_client_id is None:
        return ConsentRelationships(related("credential", "/v2/credentials", result_id))
    return ConsentRelationships(auth_secret=related("auth-secret", f"/v2/workspaces/{workspace_id}/secrets", result_id))
