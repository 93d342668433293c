"""Answers a callback that is delivered twice: reload, double click, aborted first try (contract 0.21).

The browser is told what the first one led to, from the database, so that every replica tells the same; nothing is
done again.
"""

import asyncio
from datetime import datetime, timedelta

from keyrack.clock import Clock
from keyrack.model.consents import ConsentStatus
from keyrack.service.consents.return_url import with_result
from keyrack.service.consents.values import ConsentHandlers, ConsentOutcome, UnknownState
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store
from keyrack.store.directory import Location

_MINUTE = timedelta(minutes=1)
_LOOKS = (0.05, 0.1, 0.2, 0.5)
"""Seconds between two looks whether the first delivery is done; the last one for ever."""


class SecondDeliveries:
    """Answers them.

    Args:
        store: where consents are.
        targets: what consents make.
        clock: the time.
        patience: seconds that one waits for the first.
    """

    def __init__(self, store: Store, targets: ConsentHandlers, clock: Clock, *, patience: float = 15.0) -> None:
        self._store = store
        self._targets = targets
        self._clock = clock
        self.patience = patience

    async def answer(self, consent_id: str, place: Location, mine: str | None, arrived: datetime) -> ConsentOutcome:
        """Say what the first delivery came to, waiting for it if it is not done.

        Args:
            consent_id: whose callback it is.
            place: where the consent is.
            mine: the hash of the browser that comes, if it is known.
            arrived: when it came.

        Raises:
            UnknownState: that is nothing for this browser any more.
        """
        waited, looks = 0.0, 0
        while True:
            async with self._store.unit(place.tenant_id) as unit:
                consent = await ConsentRows(unit).find(consent_id)
            if consent is None:
                raise UnknownState
            if consent.status is not ConsentStatus.exchanging or consent.expires_at <= self._clock():
                break
            if waited >= self.patience:
                return ConsentOutcome(None, under_way=True)
            pause = _LOOKS[min(looks, len(_LOOKS) - 1)]
            await asyncio.sleep(pause)
            waited, looks = waited + pause, looks + 1
        same = mine is not None and mine == consent.browser_hash
        if consent.ended_at is None or not (same or arrived < consent.ended_at + _MINUTE):
            raise UnknownState
        return_url = consent.context.return_url
        if consent.result_id is None:
            return ConsentOutcome(consent.error or "The account was not connected.", return_url=return_url)
        return ConsentOutcome(
            None,
            return_url=with_result(return_url, self._targets.of(consent.auth_client_id).parameter, consent.result_id),
        )
