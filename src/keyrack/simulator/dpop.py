"""Takes proofs of possession with requests, and tells the next nonce with answers (RFC 9449)."""

from aiohttp import web

from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.dpop_book import WrongProofError
from keyrack.simulator.wire import STATE, Refusal

_HEADER, _NONCE = "DPoP", "DPoP-Nonce"


def proven(request: web.Request, behaviour: Behaviour, target: str, access_token: str | None = None) -> str:
    """Return the thumbprint of the key that a request proves to hold; empty if it proves none.

    Args:
        request: what came in.
        behaviour: whether there must be a proof, and whether it must repeat a nonce.
        target: the endpoint's address, without query.
        access_token: the token that it must go with, if any.

    Raises:
        Refusal: the proof is missing or wrong.
    """
    given = request.headers.getall(_HEADER, [])
    if behaviour.dpop == "ignored":
        return ""
    if len(given) > 1 or (not given and behaviour.dpop == "required"):
        raise Refusal("invalid_dpop_proof", "there must be one proof of possession")
    if not given:
        return ""
    try:
        return request.app[STATE].proofs.judge(given[0], request.method, target, behaviour.dpop_nonce, access_token)
    except WrongProofError as wrong:
        raise Refusal(wrong.code, wrong.description) from None


def with_nonce(request: web.Request, reply: web.Response, behaviour: Behaviour) -> web.Response:
    """Return an answer with the nonce that the next proof must repeat, if proofs must and the request had one."""
    if behaviour.dpop_nonce and behaviour.dpop != "ignored" and _HEADER in request.headers:
        reply.headers[_NONCE] = request.app[STATE].proofs.nonce(behaviour.dpop_nonce)
    return reply
