"""Says an audit entry in the words of OCSF (Open Cybersecurity Schema Framework, version 1.3), for other systems."""

from ipaddress import ip_address
from typing import Any

from keyrack import __version__
from keyrack.clock import epoch_ms
from keyrack.model.audit import AuditEvent, ChainedEvent
from keyrack.model.identity import PrincipalKind
from keyrack.service.authz.access import ALLOWED, DENIED

VERSION = "1.3.0"
_SIGN_INS = {"console-session.create", "api-key.use"}
_AUTHENTICATION = {"category_uid": 3, "category_name": "Identity & Access Management", "class_uid": 3002}
_API_ACTIVITY = {"category_uid": 6, "category_name": "Application Activity", "class_uid": 6003}
_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_ACTIVITIES = {
    _CREATE: {"create", "add", "import", "accept", "invite"},
    _READ: {"read", "get", "disclose", "reveal", "export", "sign-proof"},
    _UPDATE: {"edit", "change", "set", "replace", "refresh", "rotate", "rotate-secret", "renew-secret"},
    _DELETE: {"delete", "remove", "revoke", "end", "disable"},
}
_NAMES = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete", _OTHER: "Other"}
_USER_TYPES = {PrincipalKind.user: (1, "User"), PrincipalKind.system: (3, "System")}
_SERVICE = (4, "Service")
_INFORMATIONAL, _LOW, _MEDIUM = 1, 2, 3


def ocsf_event(tenant_id: str, entry: ChainedEvent) -> dict[str, Any]:
    """Return an entry as an event of OCSF: API Activity (6003), or Authentication (3002) of whoever signs in.

    Args:
        tenant_id: whose log it is in; empty: the installation's.
        entry: it.
    """
    event = entry.event
    signs_in = event.action in _SIGN_INS
    activity = 1 if signs_in else _activity(event.action)
    told: dict[str, Any] = dict(_AUTHENTICATION if signs_in else _API_ACTIVITY)
    told |= {
        "class_name": "Authentication" if signs_in else "API Activity",
        "activity_id": activity,
        "activity_name": "Logon" if signs_in else _NAMES[activity],
        "type_uid": told["class_uid"] * 100 + activity,
        "time": epoch_ms(event.at),
        "severity_id": _severity(event),
        "status_id": 1 if event.outcome == ALLOWED else 2,
        "status": "Success" if event.outcome == ALLOWED else "Failure",
        "status_detail": event.outcome,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Keyrack", "vendor_name": "Keyrack", "version": __version__},
            "uid": event.id,
            "sequence": entry.sequence,
            "tenant_uid": tenant_id,
            "log_name": "audit",
        },
        "unmapped": {"hash": entry.hash.hex(), "actor_kind": event.actor_kind.value},
    }
    type_id, type_name = _USER_TYPES.get(event.actor_kind, _SERVICE)
    user = {"name": event.actor, "type_id": type_id, "type": type_name}
    told |= {"user": user} if signs_in else {"actor": {"user": user}}
    told |= _source(event)
    told["api"] = {"operation": event.action, "service": {"name": "Keyrack"}}
    if event.request_id is not None:
        told["api"]["request"] = {"uid": event.request_id}
    resource: dict[str, Any] = {"type": event.target_type}
    if event.target_id is not None:
        resource["uid"] = event.target_id
    told["resources"] = [resource]
    if event.times is not None and event.first_at is not None:
        told |= {"count": event.times, "start_time": epoch_ms(event.first_at), "end_time": epoch_ms(event.at)}
    return told


def _source(event: AuditEvent) -> dict[str, Any]:
    """Return from where it was done; a command has the user and the machine that it was given on."""
    if event.address is None:
        return {}
    user, at, host = event.address.partition("@")
    if event.actor_kind is PrincipalKind.system and at:
        name = {"name": user, "type_id": 1, "type": "User"}
        return {"actor": {"user": name, "app_name": event.actor}, "src_endpoint": {"hostname": host}}
    return {"src_endpoint": {"ip": event.address} if _is_address(event.address) else {"name": event.address}}


def _activity(action: str) -> int:
    deed = action.rpartition(".")[2]
    return next((number for number, deeds in _ACTIVITIES.items() if deed in deeds), _OTHER)


def _severity(event: AuditEvent) -> int:
    if event.outcome == DENIED:
        return _MEDIUM
    return _INFORMATIONAL if event.outcome == ALLOWED else _LOW


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
