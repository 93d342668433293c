"""Sends the requests of one diagnosis, fairly and without any trace in what is stored, and keeps them to be read."""

from collections.abc import Collection
from dataclasses import dataclass, field

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderUnavailable
from keyrack.oauth.content import text_of
from keyrack.oauth.provider_text import printable
from keyrack.oauth.wire import FormRequest, QueryRequest, RawResponse
from keyrack.provider.client import ProviderClient
from keyrack.provider.trace import SECRET_PARAMETERS, shown_request
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimiter
from keyrack.service.secrets.refresh.sending import send

_SHOWN_BODY = 1_000
_SHOWN_HEADERS = ("date", "content-type", "location", "www-authenticate", "retry-after")
_LONGEST_HEADER = 300


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of a diagnosis and its answer, fit to be shown.

    Attributes:
        purpose: why it was sent.
        request: as it went out, with `***` for secrets.
        answer: the beginning of what came back, or why nothing did; masked likewise.
    """

    purpose: str
    request: str = field(repr=False)
    answer: str = field(repr=False)


class Exchanges:
    """Sends and keeps.

    Nothing is told to the circuit, nor counted: what a diagnosis tries on purpose must not pause anybody's refreshes. A
    place in the budget is taken and waited for, as by every call.

    Args:
        provider: sends, within the bounds of address, time and size that hold for every call.
        limiter: whose turn it is.
        tenant_id: for whom.
        secrets: what must not be shown.
    """

    def __init__(
        self, provider: ProviderClient, limiter: ProviderLimiter, tenant_id: str, secrets: Collection[Secret]
    ) -> None:
        self._provider = provider
        self._limiter = limiter
        self._tenant_id = tenant_id
        self._secrets = tuple(secrets)
        self.kept: list[Exchange] = []

    async def send(
        self, purpose: str, request: FormRequest | QueryRequest, *, sent: Collection[Secret] = (), shows: bool = True
    ) -> RawResponse:
        """Send a request and keep it.

        Args:
            purpose: why, for people.
            request: what.
            sent: what is secret in this one.
            shows: whether the answer's body may be shown, as it cannot hold tokens.

        Raises:
            ValidationFailed: it cannot be sent.
            ProviderUnavailable: nothing came back, or the provider is not called at present.
        """
        secrets = (*self._secrets, *sent, *secrets_of(request))
        shown = shown_request(request, secrets)
        try:
            async with self._limiter.admit(self._tenant_id, origin_of(request.url)):
                if request.proof_key is None:
                    answer = await self._provider.send(request, tenant_id=self._tenant_id)
                else:  # with a proof, which is made for each time that a request is sent
                    answer = await send(self._provider, request, tenant_id=self._tenant_id)
        except ProviderUnavailable as error:
            self.kept.append(Exchange(purpose, shown, str(error)))
            raise
        self.kept.append(Exchange(purpose, shown, _shown_answer(answer, secrets, shows=shows)))
        return answer


def secrets_of(request: FormRequest | QueryRequest) -> list[Secret]:
    """Return what is secret in a request whatever the client: a provider may send it back."""
    given = request.form if isinstance(request, FormRequest) else request.query
    found = [Secret(value) for name, value in given if name in SECRET_PARAMETERS]
    if request.authorization is not None:
        found += [request.authorization, Secret(request.authorization.reveal().partition(" ")[2])]
    return found


def _shown_answer(answer: RawResponse, secrets: Collection[Secret], *, shows: bool) -> str:
    lines = [f"status {answer.status}" if answer.status else "no status that can be read"]
    named = ((name, answer.headers[name]) for name in _SHOWN_HEADERS if name in answer.headers)
    lines += [f"{name}: {printable(value, _LONGEST_HEADER, secrets)}" for name, value in named]
    if answer.body and not shows:
        lines += ["", f"({len(answer.body)} bytes, which may hold tokens and are not shown)"]
    elif answer.body:
        text, _ = text_of(answer.body, answer.headers)
        lines += ["", printable(text, _SHOWN_BODY, secrets)]
    return "\n".join(lines)
