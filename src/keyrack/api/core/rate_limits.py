"""Limits requests by caller, tenant and address, wrong keys and passwords; counts within a process (contract 0.25)."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from keyrack import metrics
from keyrack.api.core.connections import source_of
from keyrack.errors import RateLimited
from keyrack.model.identity import Principal
from keyrack.token_buckets import TokenBuckets

log = structlog.get_logger()

_MOST_KNOWN = 10_000
_ALL_NAMES = 10
_KEY_PREFIX = "kr_"
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests a minute; 0: no limit.

    Attributes:
        caller: of one caller.
        tenant: of all callers of one tenant together.
        address: from one address, whoever makes them.
        wrong_keys: with a wrong API key, from one address for one user name.
        wrong_passwords: wrong passwords, from one address for one account.
    """

    caller: int = 0
    tenant: int = 0
    address: int = 0
    wrong_keys: int = 0
    wrong_passwords: int = 0


_TOO_MANY = {
    "address": "Too many requests from this address (KEYRACK_RATE_LIMIT_ADDRESS).",
    "caller": "Too many requests of this caller (KEYRACK_RATE_LIMIT).",
    "tenant": "Too many requests of all callers of the tenant (KEYRACK_RATE_LIMIT_TENANT).",
}
"""What is said of each rate, with the setting by which the operator chooses it."""


class Throttle:
    """Counts requests against the rates; of IPv6, a /64 is one address.

    Args:
        rates: the operator's choice.
        timer: monotonic seconds.
    """

    def __init__(self, rates: Rates, timer: Callable[[], float] = time.monotonic) -> None:
        self._callers = TokenBuckets(rates.caller, timer)
        self._tenants = TokenBuckets(rates.tenant, timer)
        self._addresses = TokenBuckets(rates.address, timer)
        self._wrong = TokenBuckets(rates.wrong_keys, timer)
        self._wrong_links = TokenBuckets(rates.wrong_keys, timer)
        self._wrong_anywhere = TokenBuckets(rates.wrong_keys * _ALL_NAMES, timer)
        self._wrong_for = TokenBuckets(rates.wrong_keys * _ALL_NAMES, timer)
        self._passwords = TokenBuckets(rates.wrong_passwords, timer)
        self._passwords_from = TokenBuckets(rates.wrong_passwords * _ALL_NAMES, timer)
        self._passwords_for = TokenBuckets(rates.wrong_passwords * _ALL_NAMES, timer)
        self._sign_ins = TokenBuckets(rates.wrong_passwords * _ALL_NAMES, timer)
        self._known_at: OrderedDict[tuple[object, str], None] = OrderedDict()

    def arrived(self, address: str | None) -> None:
        """Count a request before anything else is done for it.

        Raises:
            RateLimited: too many come from its address.
        """
        if address is not None:
            self._refuse_if("address", self._addresses.take(source_of(address)))

    def admit(self, who: Principal) -> None:
        """Count a request of a known caller.

        Raises:
            RateLimited: the caller or its tenant has used up its requests; says after how many seconds there is one
                again.
        """
        self._refuse_if("caller", self._callers.take(who.id))
        if who.tenant_id is not None:
            self._refuse_if("tenant", self._tenants.take(who.tenant_id))

    def wrong_key(self, name: str, address: str | None) -> None:
        """Count a wrong API key. A right one is never refused for it: it gets in, wherever it comes from.

        Args:
            name: the user name that was given.
            address: where it came from.

        Raises:
            RateLimited: too many came from there for this name, or for all names together, or for this name from
                everywhere.
        """
        source, account = source_of(address), name.casefold()
        wait = self._wrong.take((source, account)) or self._wrong_anywhere.take(source) or self._wrong_for.take(account)
        metrics.wrong_key(throttled=bool(wait))
        if wait:
            raise RateLimited(_whole(wait), "Too many wrong API keys (KEYRACK_WRONG_KEYS_LIMIT).")
        log.warning("wrong API key", name=_shown(name), address=address)

    def wrong_link(self, address: str | None) -> None:
        """Count a setup or connect link that is not good, from whoever may be guessing.

        A good one is never refused for it.

        Raises:
            RateLimited: too many came from there.
        """
        wait = self._wrong_links.take(source_of(address))
        if wait:
            metrics.throttled("wrong_links")
            raise RateLimited(_whole(wait))
        log.warning("wrong link", address=address)

    def password_tried(self, account: str, address: str | None, device: str | None = None) -> None:
        """Count a password, or a code after it, before it is checked; `password_right` takes that back.

        What others try cannot lock somebody out who has signed in from the same address before: the bound for an
        account counts only addresses from which nobody has. A browser that has signed in to the account before has a
        bound of its own, and no other.

        Args:
            account: the key of the email, or the name, that was given.
            address: where it came from.
            device: the browser, if it is known for the account.

        Raises:
            RateLimited: too many wrong ones came from there, or for this account.
        """
        source = source_of(address)
        if device is not None:
            wait = self._passwords.take((device, account))
        else:
            wait = self._passwords.take((source, account)) or self._passwords_from.take(source)
            if not wait and (source, account) not in self._known_at:
                wait = self._passwords_for.take(account)
        if wait:
            metrics.throttled("wrong_passwords")
            raise RateLimited(_whole(wait), "Too many wrong passwords (KEYRACK_WRONG_PASSWORDS_LIMIT).")

    def sign_in_begun(self, address: str | None) -> None:
        """Count a sign-in at an organisation's provider, for each of which something is stored, before it begins.

        Raises:
            RateLimited: too many have begun from there.
        """
        wait = self._sign_ins.take(source_of(address))
        if wait:
            metrics.throttled("sign_ins")
            raise RateLimited(
                _whole(wait), "Too many sign-ins from this address (KEYRACK_WRONG_PASSWORDS_LIMIT, ten times)."
            )

    def password_right(
        self, account: str, address: str | None, device: str | None = None, *, signed_in: bool = True
    ) -> None:
        """Take back what `password_tried` counted, and remember from where the account is used.

        Args:
            account: as there.
            address: as there.
            device: as there.
            signed_in: whether that was all that was asked for; where a code is still to come, it does not tell yet that
                the account is used from there.
        """
        source = source_of(address)
        known = (source, account)
        if device is not None:
            self._passwords.give_back((device, account))
        else:
            self._passwords.give_back(known)
            self._passwords_from.give_back(source)
            if known not in self._known_at:
                self._passwords_for.give_back(account)
        if not signed_in:
            return
        self._known_at[known] = None
        self._known_at.move_to_end(known)
        if len(self._known_at) > _MOST_KNOWN:
            self._known_at.popitem(last=False)

    @staticmethod
    def _refuse_if(rate: str, wait: float) -> None:
        if wait:
            metrics.throttled(rate)
            raise RateLimited(_whole(wait), _TOO_MANY[rate])


def _whole(seconds: float) -> int:
    """Return seconds for `Retry-After`."""
    return max(1, math.ceil(seconds))


def _shown(name: str) -> str:
    """Return a user name for the log; not what may be a key that somebody put into the wrong place."""
    looks_secret = _KEY_PREFIX in name or len(name) > _LONGEST_NAME
    return f"(a text of {len(name)} characters)" if looks_secret else name
