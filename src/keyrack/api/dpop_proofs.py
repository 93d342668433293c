"""`/v2/workspaces/{W}/secrets/{S}/dpop-proof`: proofs for requests with bound tokens (RFC 9449, decision 41)."""

from typing import Literal

import msgspec
from litestar import post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from keyrack.api.core.body import or_none
from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import Single, Text
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.service.secrets.dpop_proofs import DPoPProofs, WantedProof


class WantedProofAttributes(msgspec.Struct):
    """The request that the proof is for; `nonce` as its server has sent it in `DPoP-Nonce`, if it has."""

    method: Text
    url: Text
    nonce: Text | UnsetType | None = UNSET


class WantedProofData(msgspec.Struct):
    """Data of a request for a proof."""

    type: Literal["dpop-proof"]
    attributes: WantedProofAttributes


class WantedProofBody(msgspec.Struct):
    """Body of a request for a proof."""

    data: WantedProofData


class ProofAttributes(msgspec.Struct):
    """What goes into the header `DPoP` of one request, soon."""

    proof: str
    issued_at: str


class ProofResource(msgspec.Struct):
    """A proof; it has no id and cannot be read again."""

    attributes: ProofAttributes
    type: Literal["dpop-proof"] = "dpop-proof"


@post(
    "/v2/workspaces/{workspace_id:str}/secrets/{secret_id:str}/dpop-proof",
    status_code=200,
    tags=["Auth secrets"],
    responses=Refusals.of(400, 403, 404, 409, 423, body=True),
)
async def dpop_proof(
    workspace_id: PATH_ID,
    secret_id: PATH_ID,
    data: Body[WantedProofBody],
    who: Who,
    dpop_proofs: NamedDependency[DPoPProofs],
) -> Single[ProofResource]:
    """Sign a proof for one request with a secret's bound access token (RFC 9449)."""
    made = await dpop_proofs.sign(who, workspace_id, secret_id, data.then(_wanted))
    return Single(ProofResource(ProofAttributes(made.proof.reveal(), iso(made.issued_at))))


def _wanted(body: WantedProofBody) -> WantedProof:
    asked = body.data.attributes
    return WantedProof(asked.method, asked.url, or_none(asked.nonce))
