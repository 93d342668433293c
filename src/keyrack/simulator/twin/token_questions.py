"""Answers what is asked with a connection's tokens: whose they are, whether they work, what is to be known of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyrack.simulator.twin.answers import put
from keyrack.simulator.twin.calls import answers_of_calls, call_order
from keyrack.simulator.twin.expectation import Order
from keyrack.simulator.twin.orders import certificate, introspection_order, revocation_order
from keyrack.simulator.twin.received import Received, Reply
from keyrack.simulator.twin.state import ACCOUNT, ACCOUNT_ID, TwinState, values_of


@dataclass
class TokenQuestions(TwinState):
    """The part of a twin that is asked with tokens."""

    def _userinfo(self, received: Received) -> Reply:
        if received.method != "GET" or received.header("authorization") != f"Bearer {self.access_token}":
            self._differs("userinfo", "it must be a GET with the access token as Bearer", "/endpoints/userinfo")
            return Reply(401, {"error": "invalid_token"})
        shown = certificate(self._reading)
        if shown is not None and shown != received.certificate:
            self._differs("userinfo", "the client's certificate is not shown in TLS", "/client_authentication")
            return Reply(401, {"error": "invalid_token"})
        members: dict[str, Any] = {}
        for path, text in self._account().items():
            put(members, path, text)
        for name, path in self.profile.answer.userinfo_learned.items():
            if name in self.told:
                put(members, path, self.told[name])
                self._reading.learned[name] = self.told[name]
        calls = [number for number, order in self._calls().items() if order.address == received.address]
        if calls:  # what is asked there is in the same answer
            document, told = answers_of_calls(self._reading, calls, self.told)
            self.told.update(told)
            members = {**document, **members}
        return Reply(200, members)

    def _introspect(self, received: Received) -> Reply:
        refused = self._refused(received, introspection_order(self._reading))
        if refused is not None:
            return refused
        shown = values_of(received)
        self.introspected += [token for token in (self.access_token,) if token in shown]
        return Reply(200, {"active": self.access_token in shown, "sub": ACCOUNT_ID, "username": ACCOUNT})

    @property
    def revocable(self) -> Mapping[str, str]:
        """Tokens that can be revoked, each with its kind."""
        kinds = self.profile.revocation.tokens or ("access_token", "refresh_token")
        tokens = {self.access_token: "access_token", self.refresh_token: "refresh_token"}
        return {token: kind for token, kind in tokens.items() if token and kind in kinds}

    def _revocations(self) -> Mapping[str, Order]:
        """Return what each request must be that revokes a token, by the token."""
        tokens = self.revocable or {"a token of this connection": "access_token"}
        orders = {token: revocation_order(self._reading, token, kind) for token, kind in tokens.items()}
        return {token: order for token, order in orders.items() if order is not None}

    def _revoke(self, received: Received) -> Reply:
        orders = self._revocations()
        meant = next((token for token, order in orders.items() if not order.differences(received)), None)
        if meant is None:
            nearest = min(orders.values(), key=lambda order: len(order.differences(received)))
            return self._refused(received, nearest) or Reply(400)
        self._refused(received, orders[meant])
        self.revoked.append(meant)
        return Reply(200)

    def _calls(self) -> Mapping[int, Order]:
        """Return what each call after connecting must be, by its number; those that cannot be made yet are left out."""
        calls = range(len(self.profile.after_connecting))
        orders = {number: call_order(self._reading, number, self.access_token) for number in calls}
        return {number: order for number, order in orders.items() if order is not None}

    def _called(self, received: Received) -> Reply:
        """Answer a call after connecting; all that go to one place are answered with one document."""
        orders = {number: order for number, order in self._calls().items() if order.address == received.address}
        meant = next((order for order in orders.values() if not order.differences(received)), None)
        nearest = meant or min(orders.values(), key=lambda order: len(order.differences(received)))
        refused = self._refused(received, nearest)
        if refused is not None:
            return refused
        document, told = answers_of_calls(self._reading, list(orders), self.told)
        self.told.update(told)
        self._reading.learned.update(told)
        return Reply(200, document)
