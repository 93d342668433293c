"""Whatever is wrong with a key, checking it does the same: no time that is measured tells names or owners."""

import hashlib
import hmac
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from keyrack.model.identity import PrincipalKind
from keyrack.service.identity import authentication
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.store.accounts import ApiKeys
from keyrack.store.identities import Identities
from support.app import Caller, World


class _Counted:
    """A module of the standard library whose functions are counted."""

    def __init__(self, module: Any, done: Counter[str], *names: str) -> None:
        self._module, self._done, self._names = module, done, names

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._module, name)
        if name not in self._names:
            return real

        def counted(*given: Any, **more: Any) -> Any:
            self._done[name] += 1
            return real(*given, **more)

        return counted


async def test_every_wrong_key_costs_the_same_operations(keyrack: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    expired = new_api_key()
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        ended = unit.clock() - timedelta(days=1)
        await ApiKeys(unit).add(PrincipalKind.user, acme.admin.id, "old", key_hash(expired), ended)
    right = acme.admin.api_key
    attempts = {
        "unknown name, unknown key": ("nobody@acme.example", "kr_" + "a" * 43),
        "known name, unknown key": (acme.admin.name, "kr_" + "a" * 43),
        "known name, almost the right key": (acme.admin.name, right[:-1] + ("a" if right[-1] != "a" else "b")),
        "known name, a key of another user": (acme.admin.name, acme.integrator.api_key),
        "known name, a key of another tenant": (acme.admin.name, globex.admin.api_key),
        "unknown name, a good key": ("nobody@acme.example", right),
        "an expired key": (acme.admin.name, expired.reveal()),
        "a short key": (acme.admin.name, "x"),
    }
    told, costs = set(), {}
    for what, (name, key) in attempts.items():
        done: Counter[str] = Counter()
        real = Identities.by_key

        async def looked_up(self: Identities, *given: Any, done: Counter[str] = done, real: Any = real) -> Any:
            done["look-ups"] += 1
            return await real(self, *given)

        with monkeypatch.context() as patched:
            patched.setattr(authentication, "hashlib", _Counted(hashlib, done, "sha256"))
            patched.setattr(authentication, "hmac", _Counted(hmac, done, "compare_digest"))
            patched.setattr(Identities, "by_key", looked_up)
            answer = await Caller(keyrack.http, name, key).get("/v2/users/me")
        assert answer.status_code == 401, what
        headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        told.add(answer.text + str(sorted(headers.items())))
        costs[what] = dict(done)
    assert len(told) == 1, "nothing that is said tells them apart"
    assert set(map(str, costs.values())) == {str({"sha256": 1, "look-ups": 1, "compare_digest": 1})}, costs
