"""Shows a request exactly as it goes out, but for what is secret in it (`--trace`)."""

import secrets as random
from collections.abc import Callable, Collection
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from yarl import URL

from keyrack.crypto.secret import MASK, Secret
from keyrack.oauth.dpop import HEADER
from keyrack.oauth.masking import masked
from keyrack.oauth.uri import wire_uri
from keyrack.oauth.wire import FormRequest, QueryRequest
from keyrack.provider.client import USUAL_HEADERS
from keyrack.provider.outgoing import body_of, headers_of, method_of, url_of

SECRET_PARAMETERS = frozenset(
    {
        "assertion",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "password",
        "refresh_token",
        "subject_token",
        "token",
    }
)
"""Parameters whose values are secret whatever they are (RFC 6749, 7009, 7521, 7636, 8693)."""

_LONGEST_PART = 4


def shown_request(request: FormRequest | QueryRequest, secrets: Collection[Secret]) -> str:
    """Return a request as HTTP/1.1 writes it, with `***` for each secret.

    The parts are made by the very functions that make what is sent. A value that is secret is replaced before they
    encode it, so that nothing depends on how it is encoded; what is secret inside of another value is masked after.

    Args:
        request: what goes out.
        secrets: of the client and of this request.
    """
    stand_in = random.token_hex(16)
    hidden = _hiding(secrets, stand_in)
    scheme = "" if request.authorization is None else request.authorization.reveal().partition(" ")[0]
    authorization = None if request.authorization is None else Secret(f"{scheme} {stand_in}")
    headers = tuple((name, hidden(name, value)) for name, value in request.headers)
    if request.proof_key is not None:  # a proof is made for each time that a request is sent
        headers += ((HEADER, stand_in),)
    shown: FormRequest | QueryRequest
    if isinstance(request, FormRequest):
        form = tuple((name, hidden(name, value)) for name, value in request.form)
        shown = replace(request, form=form, headers=headers, authorization=authorization)
    else:
        query = tuple((name, hidden(name, value)) for name, value in request.query)
        shown = replace(request, query=query, headers=headers, authorization=authorization)
    url = url_of(shown, URL(wire_uri(shown.url), encoded=True))
    sent = {name.lower(): (name, value) for name, value in USUAL_HEADERS.items()}
    sent |= {name.lower(): (name, value) for name, value in headers_of(shown).items()}
    lines = [f"{method_of(shown)} {url}", *(f"{name}: {value}" for name, value in sent.values())]
    body = body_of(shown)
    if body:
        lines += ["", body.decode("ascii")]
    return masked("\n".join(lines).replace(stand_in, MASK), secrets)


def shown_address(address: str, secrets: Collection[Secret]) -> str:
    """Return an address that a browser is sent to, with a parameter in each line after it, and `***` for secrets."""
    base, _, _ = address.partition("?")
    query = parse_qsl(urlsplit(address).query, keep_blank_values=True)
    lines = [f"GET {address}", "", *(f"  {name} = {value}" for name, value in query)]
    return masked("\n".join(lines if base != address else lines[:1]), secrets)


def _hiding(secrets: Collection[Secret], stand_in: str) -> Callable[[str, str], str]:
    known = {secret.reveal() for secret in secrets if secret.reveal()}

    def hidden(name: str, value: str) -> str:
        if name in SECRET_PARAMETERS or value in known:
            return stand_in
        for part in sorted((each for each in known if len(each) >= _LONGEST_PART), key=len, reverse=True):
            value = value.replace(part, stand_in)
        return value

    return hidden
