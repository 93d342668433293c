"""All public methods of `keyrack.store`, found by looking, and arguments for them, found by name and type."""

import importlib
import inspect
import pkgutil
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import keyrack.store
from keyrack import clock
from keyrack.crypto.secret import Secret
from keyrack.ids import new_id
from keyrack.model.audit import AuditFilter, ChainedEvent, Checkpoint, CountedAct, CountedEvent
from keyrack.model.clients import ANY_CLIENT, NO_EXPIRY, AuthClientFilter
from keyrack.model.connect_theme import ConnectTheme
from keyrack.model.consents import ConsentStatus
from keyrack.model.containment import ContainedGrant, Freeze, FreezeKind, GrantStatus
from keyrack.model.events import EventType
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.secrets import ProviderAccount, SecretFilter
from keyrack.model.tenancy import WorkspaceInvite
from keyrack.oauth.state import state_hash
from keyrack.store import schema
from keyrack.store.attempts import Attempt, AttemptKind
from keyrack.store.audit_chain import AuditChain
from keyrack.store.auth_client_list import KnownScopes
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.authentication_requests import AuthenticationRequests
from keyrack.store.component_list import ComponentFilter
from keyrack.store.component_visibility import Viewpoint
from keyrack.store.components import ComponentRows
from keyrack.store.connect_links import ConnectLinkRows
from keyrack.store.connect_themes import ConnectThemeRows
from keyrack.store.consents import ConsentRows
from keyrack.store.core.unit import TenantTable, Unit
from keyrack.store.credentials import CredentialRows
from keyrack.store.directory import Location
from keyrack.store.expiring_clients import ExpiringClients
from keyrack.store.flow_list import FlowFilter
from keyrack.store.flows import FlowRows, FlowVersions
from keyrack.store.import_batches import ImportEntry
from keyrack.store.invites import ContractInvites
from keyrack.store.lease_clock import LeaseTime
from keyrack.store.leases import Due, Lease
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.revocations import Subject
from keyrack.store.single_sign_on import SingleSignOnRows
from keyrack.store.tenants import TenantRows
from keyrack.store.webhooks import WebhookRows
from keyrack.store.workspaces import WorkspaceRows
from support.auth_clients import MCP_SERVER
from support.tenancy.estate import HAPPENED_AT, Estate

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
COUNTED = CountedEvent(
    CountedAct("", "text", PrincipalKind.user, "x", "flow", None, "allowed", None), 2, _BEGINNING, _BEGINNING
)
_NO_CODE = (".migrations", ".schema")


@dataclass(frozen=True)
class Method:
    """A method of a class that is made from a unit, or a function that takes one.

    Attributes:
        name: `Class.method`, or `module.function`.
        owner: the class; None for a function.
        function: what to call.
    """

    name: str
    owner: Any
    function: Callable[..., Any]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Types of the parameters by name, without `self` and the unit."""
        hints = get_type_hints(self.function)
        names = inspect.signature(self.function).parameters
        return {name: hints.get(name) for name in names if name != "self" and hints.get(name) is not Unit}

    async def call(self, unit: Unit, arguments: Mapping[str, Any]) -> Any:
        """Call it in a unit."""
        kinds = inspect.signature(self.function).parameters
        given = dict(arguments)
        for name, parameter in kinds.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                given |= given.pop(name)
        made = self.function(unit if self.owner is None else self.owner(unit), **given)
        return await made if inspect.isawaitable(made) else made


def modules() -> Iterator[Any]:
    """All modules of the store that have code."""
    for found in pkgutil.walk_packages(keyrack.store.__path__, "keyrack.store."):
        if not any(part in found.name for part in _NO_CODE):
            yield importlib.import_module(found.name)


def methods() -> list[Method]:
    """All public methods and functions of the store."""
    found = []
    for module in modules():
        short = module.__name__.rpartition(".")[2]
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(thing):
                found += [
                    Method(f"{name}.{each}", thing, function)
                    for each, function in vars(thing).items()
                    if not each.startswith("_") and inspect.isfunction(function)
                ]
            elif inspect.isfunction(thing):
                found.append(Method(f"{short}.{name}", None, thing))
    return found


def takes_a_unit(method: Method) -> bool:
    """Tell whether it works in a unit, and so could reach whatever the database has."""
    if method.owner is TenantTable:  # what the others are made of
        return False
    made = method.function if method.owner is None else method.owner.__init__
    return Unit in _hints(made).values()


def _hints(function: Any) -> Mapping[str, Any]:
    return get_type_hints(function) if inspect.isfunction(function) else {}


ODD: dict[str, dict[str, Any]] = {
    "AuditChain.checkpoints": {"after": 0, "reached": 1000},
    "AuditChain.entries": {"after": 0, "reached": 1000},
    "GrantReportRows.clients_of_window": {"after": "", "last": None},
    "GrantReportRows.ending": {"after": "", "last": None},
    "GrantReportRows.idle": {"after": "", "last": None},
    "AwaitingCutover.of_batch": {"after": ""},
    "AwaitingCutover.of_client": {"after": ""},
    "AuditLog.append": {"target": ("flow", None), "action": "x", "outcome": "allowed"},
    "AuditLog.append_counted": {"events": [COUNTED]},
    "AuditLog.written_since": {"equal": {}, "since": _BEGINNING},
    "AuditLog.newest": {"equal": {}, "since": None},
    "AuditLog.page": {"equal": {}},
    "AuditLog.stretch": {"wanted": AuditFilter(), "begin": None, "newest_first": True},
    "AuthClientRows.for_server": {"address": MCP_SERVER},
    "AuthSecrets.identify": {"account": ProviderAccount("New")},
    "ConsentRows.fail": {"until_now": ConsentStatus.exchanging},
    "ConcernedGrants.at_origin": {"origin": "https://login.example.com"},
    "ConcernedGrants.origins_among": {"origins": ["https://login.example.com"]},
    "CredentialRows.add": {"account": ProviderAccount("New")},
    "ComponentEnvironment.having": {"after": ""},
    "Directory.place": {"kind": "workspace", "place_id": "text"},
    "standings.find_with_standing": {"kind": "workspace", "place_id": "text"},
    "Authenticators.keep_recovery_codes": {"recovery_hashes": ["text"]},
    "ConsoleSessions.end_others": {"session_id": None},
    "ConsoleSessions.of_owner": {"seen_after": _BEGINNING, "created_after": _BEGINNING},
    "ContractRows.change": {"values": {"name": "New"}},
    "FlowRows.add": {"kind": "ordinary", "name": "New"},
    "FlowReferences.replace": {"place": "graph"},
    "FlowCredentials.replace": {"credential_ids": []},
    "FlowSecrets.replace": {"secret_ids": []},
    "DeletedClients.surplus": {"most": 0},
    "Deliveries.replay_since": {"kinds": list(EventType), "since": HAPPENED_AT, "until": None},
    "ImportBatches.named": {"name": "an import"},
    "ImportBatches.obtain": {"name": "another import"},
    "ImportEntries.known": {"kind": "auth-secret", "external_ids": ["connection"]},
    "ImportEntries.of_batch": {"kind": "auth-secret", "after": ""},
    "TargetedGrants.left": {"done": [GrantStatus.dead], "turn": 0, "tenant": ""},
    "TargetedGrants.blast_radius": {"kind": FreezeKind.tenant, "target": "text"},
    "Leases.release": {"values": {}},
    "Outbox.stretch": {"kind": None, "event_id": None},
    "Resealing.batch": {"table": schema.auth_secrets, "newest": "0" * 24, "last": None, "most": 10},
    "RolePolicy.replace": {"policy": []},
    "Mails.add": {"target": ("user", "text"), "content": {"email": "text"}},
    "AuthenticationRequests.by_state": {"state_hash": "a state"},
    "ConnectThemeRows.put": {"theme": ConnectTheme(display_name="New"), "logo": None},
    "SearchIndex.beginning": {"kind": "flow", "text": "canary"},
    "SearchIndex.ids": {"kind": "flow", "prefix": "canary", "offset": 0},
    "SearchIndex.own": {"kind": "component", "text": "connected"},
    "SearchIndex.users_of_contracts": {"text": "integrator"},
    "ConnectLinkRows.add": {"link_hash": "another link"},
    "SetupLinks.add_for_invite": {"link_hash": "another link"},
    "SetupLinks.add_for_user": {"link_hash": "another link"},
    "UserRows.by_email": {"prefix": "", "email": None},
    "UserRows.add": {"email": "somebody@new.example"},
    "ContractInvites.add": {"email": "somebody@new.example"},
}
"""Where a parameter's name means something else than elsewhere, or a row must not clash with one that is there."""

OTHER_IDS = {
    "ConsentRows.complete": {"consent_id": "exchanging_id"},
    "SearchIndex.ids": {"place": "workspace_id"},
    "ConsentRows.fail": {"consent_id": "exchanging_id"},
    "DevicePollRows.add": {"consent_id": "exchanging_id"},
    "UserRows.take_into_use": {"user_id": "newcomer_id"},
}
"""Where a parameter is about another resource than elsewhere."""

PASSING_ON = {"hand_over", "pass_on"}


async def gather(unit: Unit, estate: Estate, under_way: Mapping[str, str]) -> "Arguments":
    """Gather what a tenant has, from a unit bound to it; `under_way`: more ids, by the parameter's name."""
    ids, who = dict(estate.ids), estate.tenant.integrator
    ids |= {"successor": estate.tenant.admin.id, "member": who.id, "client_id": ids["auth_client_id"]}
    ids |= {"instead_of": ids["consent_id"], "subject_id": ids["secret_id"], **under_way}
    ids |= {"email": estate.tenant.stranger.name, "name": f"{ids['team_name']}-connected"}
    ids["state_hash"] = state_hash(estate.canaries["state of a consent"].partition("&")[0])
    invite = await ContractInvites(unit).find(ids["contract_id"], ids["invite_id"])
    workspace, tenant = await WorkspaceRows(unit).find(ids["workspace_id"]), await TenantRows(unit).find(unit.tenant_id)
    secret = await AuthSecrets(unit).find(ids["secret_id"])
    consent = await ConsentRows(unit).find(ids["consent_id"])
    request = await AuthenticationRequests(unit).by_state("a state")
    assert request is not None
    assert secret is not None
    assert consent is not None
    assert invite is not None
    assert workspace is not None
    assert tenant is not None
    of = unit.tenant_id
    (first, *_), _ = await FlowVersions(unit).page(ids["flow_id"], limit=1, offset=0)
    found: list[Any] = [
        secret,
        await FlowRows(unit).find(ids["flow_id"]),
        first,
        await ComponentRows(unit).find(ids["component_id"]),
        await AuthClientRows(unit).find(ids["auth_client_id"]),
        await OAuthClientRows(unit).find(ids["oauth_client_id"]),
        await CredentialRows(unit).find(ids["credential_id"]),
        consent,
        consent.context,
        await ConnectLinkRows(unit).find(ids["connect_link_id"]),
        await SingleSignOnRows(unit).find(),
        replace(request, id=new_id()),
        request.result,
        await ConnectThemeRows(unit).find(),
        await ConnectThemeRows(unit).logo(ids["digest"]),
        replace(invite, roles=("admin",)),
        await WebhookRows(unit).find(ids["webhook_id"]),
        *await ExpiringClients(unit).due(),
        replace(workspace, name="New"),
        replace(tenant, name="New"),
        WorkspaceInvite(ids["workspace_id"], ("guest",)),
        Location(of, ids["contract_id"], ids["workspace_id"]),
        Viewpoint(of, ids["contract_id"]),
        ANY_CLIENT,
        AuthClientFilter(),
        KnownScopes(everyones=True, tenants=True, all_contracts=True, all_workspaces=True),
        FlowFilter(),
        SecretFilter(),
        ComponentFilter(),
        Subject(secret.id, ids["workspace_id"], ids["auth_client_id"]),
        Freeze(ids["freeze_id"], FreezeKind.client, ids["auth_client_id"], "text", clock.now()),
        ContainedGrant(of, secret.id, GrantStatus.dead, {}, clock.now()),
        Lease(of, secret.id, 0, secret),
        Due(of, secret.id, 0),
        Attempt(new_id(), of, AttemptKind.refresh, secret.id, 0, 0, "node", clock.now()),
        Principal(PrincipalKind.user, who.id, who.name, tenant_id=of),
        Checkpoint(1000, b"hash", clock.now(), new_id(), b"signature"),
        Secret("new"),
        NO_EXPIRY,
        clock.now(),
        timedelta(seconds=30),
        LeaseTime(),
        ImportEntry("nango", "auth-secret", "connection", ids["batch_id"], ids["waiting_id"], 2, clock.now()),
    ]
    lists: dict[str, Any] = {
        "entries": [ChainedEvent(event, 1000, b"hash") for event in await AuditChain(unit).tail(10)],
        "names": [(ids["team_name"], ids["name"])],
        "used": [(ids["component_id"], ids["revision"])],
        "roles": ["admin"],
        "kinds": [],
        "conditions": [schema.components.c.id == ids["component_id"]],
        "clients": schema.auth_clients.c.id == ids["auth_client_id"],
        "table": schema.deliveries,
        "dead": [],
        "dues": [Due(of, secret.id, 0)],
        "due": {ids["waiting_id"]: clock.now()},
        "secrets": [replace(secret, id=new_id())],
        "brought": [ImportEntry("nango", "auth-client", "new", ids["batch_id"], secret.id, 1, None)],
        "ended": [(Lease(of, secret.id, 0, secret), secret)],
        "happened": [(EventType.secret_refreshed, {})],
        "leases": [Lease(of, secret.id, 0, secret)],
        "new": [(ids["event_id"], EventType.secret_created)],
        "subject_ids": [secret.id],
        "whole_contracts": [ids["contract_id"]],
        "ids": [ids["component_id"]],
        "places": [ids["workspace_id"]],
        "contracts": [ids["contract_id"]],
    }
    return Arguments(ids, {type(each): each for each in found}, lists)


class Arguments:
    """Answers with a value for every parameter."""

    def __init__(self, ids: Mapping[str, str], objects: Mapping[type, Any], lists: Mapping[str, Any]) -> None:
        self._ids = ids
        self._objects = objects
        self._lists = lists

    def of(self, method: Method, *, bare: bool = False) -> dict[str, Any]:
        """Return arguments for a method; with `bare`, nothing for what may be left out or None."""
        signature = inspect.signature(method.function).parameters
        made = {}
        for name, kind in method.parameters.items():
            if name in ODD.get(method.name, {}):
                made[name] = ODD[method.name][name]
            elif name in OTHER_IDS.get(method.name, {}):
                made[name] = self._ids[OTHER_IDS[method.name][name]]
            elif name == "user_id" and method.name.rpartition(".")[2] in PASSING_ON:
                made[name] = self._ids["member"]
            elif name == "user_id" and method.name.startswith("TeamRows."):
                made[name] = self._ids["developer_id"]
            elif bare and type(None) in get_args(kind):
                made[name] = None
            elif bare and signature[name].default is not inspect.Parameter.empty:
                continue
            else:
                made[name] = self._value(name, kind)
        return made

    def _value(self, name: str, kind: Any) -> Any:
        if get_origin(kind) in {Union, types.UnionType}:
            kind = next(each for each in get_args(kind) if each is not type(None))
        if name == "found":  # of a list, what was left out of which is read
            return [self._objects[get_args(kind)[0]]]
        if name in self._lists:
            return self._lists[name]
        if name.endswith("_ids"):
            return [self._ids[name.removesuffix("s")]]
        if kind is str:
            return self._ids.get(name, "text")
        if isinstance(kind, type) and issubclass(kind, Enum):
            return next(iter(kind))
        plain: dict[Any, Any] = {bool: False, int: 10, bytes: b"sealed"}
        return (plain | dict(self._objects)).get(kind, {})


def spelled(thing: Any) -> str:
    """Spell a value out with everything in it, also what its own text hides."""
    if isinstance(thing, Secret):
        return str(thing.reveal())
    if is_dataclass(thing) and not isinstance(thing, type):
        return " ".join(spelled(getattr(thing, each.name)) for each in fields(thing))
    if isinstance(thing, Mapping):
        return " ".join(f"{spelled(name)} {spelled(value)}" for name, value in thing.items())
    if isinstance(thing, (list, tuple, set, frozenset)):
        return " ".join(map(spelled, thing))
    return str(thing)
