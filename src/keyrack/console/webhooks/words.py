"""Says in plain words what webhooks are told, and why a delivery failed."""

from collections.abc import Mapping

from keyrack.model.events import TELLABLE, Delivery, DeliveryState, EventType

EVENTS: Mapping[EventType, str] = {
    EventType.secret_created: "An account was connected: a secret was stored",
    EventType.secret_refreshed: "A token was refreshed; there are as many of these as refreshes",
    EventType.secret_failed: "A refresh failed for the first time since it last worked; it is tried again",
    EventType.secret_reauthorization_required: "A person has to connect again",
    EventType.secret_scopes_missing: "A provider granted less than was asked for",
    EventType.secret_revoked: "A deleted secret's tokens were revoked at the provider, or why not",
    EventType.client_failing: "A provider rejects an auth client itself; its secrets wait",
    EventType.client_recovered: "A provider accepts an auth client again",
    EventType.client_secret_expiring: "A client's secret ends in 30, 14 or 7 days, or tomorrow",
    EventType.client_secret_expired: "A client's secret has ended",
    EventType.connect_link_connected: "An account was connected with a connect link",
    EventType.connect_link_failed: "A connect link was declined, or failed",
    EventType.user_invited: "Somebody was invited; it carries the link, so it needs the right to give people roles",
    EventType.webhook_test: "Somebody asked for a test",
}
"""What has happened, by type."""

CHOICES = [(kind.value, kind.value, EVENTS[kind]) for kind in TELLABLE]
"""For a form: value, text and hint."""

_ERRORS: Mapping[str, tuple[str, str]] = {
    "timeout": ("The receiver did not answer in time.", "Let it answer within 10 seconds, and work afterwards."),
    "address": ("The receiver's host name leads nowhere, or to an address that may not be called.", "Check the URL."),
    "connect": ("No connection to the receiver came about.", "See that it is running and can be reached from here."),
    "tls": ("The receiver's certificate is not valid.", "Renew it, or check the host name in the URL."),
    "closed": ("The receiver closed the connection before it had answered.", "Look into its log."),
    "too_large": ("The receiver's answer was too large.", "It need not send more than a status."),
    "protocol": ("The receiver's answer is not HTTP as we understand it.", "Look into its log."),
    "forbidden_url": ("Nothing may be sent to this URL any more.", "Change the webhook's URL."),
    "disabled": ("The webhook was disabled before this was sent.", "Enable it, then send it again."),
    "unreadable": ("The webhook's address cannot be decrypted here.", "Ask the operator to run keyrack doctor."),
}
_GONE = 410


def failure_of(delivery: Delivery) -> tuple[str, str]:
    """Return why the last attempt failed and what to do, both empty if none has."""
    if delivery.last_error is None:
        return "", ""
    if delivery.last_error == "status":
        if delivery.last_status == _GONE:
            return "The receiver says that it is gone (410), which disables the webhook.", "Enable it if that is wrong."
        return f"The receiver answered with status {delivery.last_status} instead of 2xx.", "Look into its log."
    return _ERRORS.get(delivery.last_error, (f"It failed: {delivery.last_error}.", ""))


STATES: Mapping[DeliveryState, tuple[str, str]] = {
    DeliveryState.pending: ("on its way", "warn"),
    DeliveryState.delivered: ("delivered", "good"),
    DeliveryState.failed: ("given up", "bad"),
}
"""Of each state a word, and the colour of its badge."""
