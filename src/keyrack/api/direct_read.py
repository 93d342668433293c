"""The hot read of a caller who is remembered, answered as soon as the request is read: without a task of its own.

What a request passes on its way to `keyrack.api.fast_read` it passes here too, by the same functions: limits of rates,
the caller, the log, the metrics. Whatever is not a plain 200 goes that way after all, refusals among it.
"""

from collections.abc import Callable

from keyrack.api.core.account import Account
from keyrack.api.core.arrival import answer_headers, request_id_of
from keyrack.api.core.asgi import Scope
from keyrack.api.core.caller_address import CallerAddress
from keyrack.api.core.direct import COUNTED, Answer
from keyrack.api.core.rate_limits import Throttle
from keyrack.api.fast_read import PATH_TEMPLATE, FastRead
from keyrack.errors import RateLimited
from keyrack.store.secret_reader import SecretLocation

_OWN = ((b"content-type", b"application/json"), (b"content-length", b"%d"))


class DirectRead:
    """Takes requests before the application does; a `keyrack.api.core.direct.Direct`.

    Args:
        hot: reads.
        throttle: counts requests.
        address: tells where they come from.
        over_tls: whether callers come over https.
    """

    def __init__(self, hot: FastRead, throttle: Throttle, address: CallerAddress, *, over_tls: bool) -> None:
        headers = (*_OWN, *answer_headers("%b", _OWN, over_tls=over_tls))
        self._lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self._hot = hot
        self._throttle = throttle
        self._address = address

    def take(self, scope: Scope, answer: Callable[[Answer | None], None]) -> bool:
        """Answer a request later, if it is one for this; tell whether it is."""
        headers = dict(scope["headers"])
        ids = self._hot.asked(scope, headers)
        if ids is None:
            return False
        workspace_id, secret_id = ids
        reader = self._hot.reader(headers.get(b"authorization", b""), workspace_id)
        if reader is None:
            return False
        scope[COUNTED] = None
        try:
            address = self._address.of(scope)
            self._throttle.arrived(address)
            self._throttle.admit(reader.principal)
        except RateLimited as refusal:
            scope[COUNTED] = refusal
            return False
        scope["path_template"] = PATH_TEMPLATE
        account = Account(scope, request_id_of(headers))

        def heard(body: bytes | None) -> None:
            if body is not None:
                account.give(200)
            answer(None if body is None else (self._lines % (len(body), account.request_id.encode("latin-1")), body))

        self._hot.ask(reader.principal, address, SecretLocation(reader.tenant_id, workspace_id, secret_id), heard)
        return True
