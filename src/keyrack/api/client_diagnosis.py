"""`POST .../diagnose` of auth clients and OAuth clients (extension, decision 37)."""

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from keyrack.api.core.dependencies import Who
from keyrack.api.core.jsonapi import Single
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.oauth.diagnosis.findings import Finding, Level, Where
from keyrack.service.diagnosis.client_diagnosis import ClientDiagnoses
from keyrack.service.diagnosis.examination import Diagnosis


class PlaceOfChange(msgspec.Struct):
    """Where to change something: a JSON pointer into the client or `component.json`, or the name of a setting."""

    where: Where
    pointer: str | UnsetType = UNSET


class FindingDocument(msgspec.Struct):
    """One thing that was looked at."""

    check: str
    level: Level
    seen: str
    change: str | UnsetType = UNSET
    place: PlaceOfChange | UnsetType = UNSET


class ExchangeDocument(msgspec.Struct):
    """A request as it went out, with `***` for secrets, and the beginning of its answer."""

    purpose: str
    request: str
    answer: str


class DiagnosisAttributes(msgspec.Struct):
    """What was found, the worst first."""

    level: Level
    diagnosed_at: str
    findings: list[FindingDocument]
    requests: list[ExchangeDocument]


class DiagnosisResource(msgspec.Struct):
    """A diagnosis; its id is the client's, and it is not stored."""

    id: str
    attributes: DiagnosisAttributes
    type: str = "client-diagnosis"


class AuthClientDiagnosisController(Controller):
    """Diagnoses of auth clients."""

    path = "/v2/auth-clients/{auth_client_id:str}/diagnose"
    tags = ("Auth clients",)

    @post(status_code=200, responses=Refusals.of(403, 404, 409, 429))
    async def diagnose(
        self, auth_client_id: PATH_ID, who: Who, client_diagnoses: NamedDependency[ClientDiagnoses]
    ) -> Single[DiagnosisResource]:
        """Find out what is wrong with an auth client at its provider; nothing is changed (extension, decision 37)."""
        return Single(_resource(await client_diagnoses.of_auth_client(who, auth_client_id)))


class OAuthClientDiagnosisController(Controller):
    """Diagnoses of OAuth clients."""

    path = "/v2/tenants/{tenant_id:str}/oauth-clients/{oauth_client_id:str}/diagnose"
    tags = ("OAuth clients",)

    @post(status_code=200, responses=Refusals.of(403, 404, 409, 429))
    async def diagnose(
        self,
        tenant_id: PATH_ID,
        oauth_client_id: PATH_ID,
        who: Who,
        client_diagnoses: NamedDependency[ClientDiagnoses],
    ) -> Single[DiagnosisResource]:
        """Find out what is wrong with an OAuth client at its provider; nothing is changed (extension, decision 37)."""
        return Single(_resource(await client_diagnoses.of_oauth_client(who, tenant_id, oauth_client_id)))


def _resource(found: Diagnosis) -> DiagnosisResource:
    exchanges = [ExchangeDocument(each.purpose, each.request, each.answer) for each in found.exchanges]
    findings = [finding_document(finding) for finding in found.findings]
    return DiagnosisResource(found.id, DiagnosisAttributes(found.level, iso(found.at), findings, exchanges))


def finding_document(finding: Finding) -> FindingDocument:
    """Return a finding as JSON has it."""
    place: PlaceOfChange | UnsetType = UNSET
    if finding.place is not None:
        place = PlaceOfChange(finding.place.where, finding.place.pointer or UNSET)
    return FindingDocument(finding.check, finding.level, finding.seen, finding.change or UNSET, place)
