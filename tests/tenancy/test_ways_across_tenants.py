"""Only the modules listed here leave their tenant, by a way with a name, each for the reason that stands beside it.

`Unit` has three such ways, for a unit of work under way, and `Store` has two, for a new one. A module that takes
another one than it is listed for fails here, and so does a line of the list that nobody needs any more.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import keyrack
from keyrack.store.core.unit import Unit

ROOT = Path(keyrack.__file__).parent

OF_TENANT = {
    "service/audit/counted_acts.py": "the log that what was counted belongs into, as it was counted",
    "service/authz/access.py": "what a path names is found and read in one unit, in the caller's tenant",
    "service/clients/auth_client_authorization.py": "the caller's home tenant has the roles that count for a client",
    "service/clients/secret_swap.py": "a client's secrets are its owner's: perhaps everybody's",
    "service/components/shared_environment.py": "the owner's variables, as far as the contract shares them (0.8, 18.1)",
    "service/containment/containment.py": "the audit log of the tenant that the operator freezes",
    "service/importers/platform/exporting.py": "the audit log of every tenant that the operator exports",
    "service/importers/platform/importing.py": "the audit log of every tenant that the operator's file has",
    "service/importers/platform/known.py": "what the operator's file refers to, in whichever tenant it is",
    "service/operator/accounts.py": "the audit log of whose key the operator makes or revokes",
    "service/operator/installation.py": "the first tenant, made in the transaction that sets the installation up",
    "service/secrets/refresh/finalizer.py": "a client's standing, and its events, are its owner's: perhaps everybody's",
    "service/secrets/refresh/refresh_by_hand.py": "how long a client's tokens live is remembered with the client",
    "service/secrets/refresh/refresher.py": "what is due in any tenant is loaded at once; each is opened as its own",
    "store/auth_clients.py": "a list has clients of the tenant and global ones; each is opened as its owner's",
    "store/core/bulk.py": "an import writes rows of all tenants that its file has, each sealed as its owner's",
    "store/mails.py": "what is due in any tenant is claimed at once; a mail is opened as its owner's",
    "store/due_deliveries.py": "what is due in any tenant is claimed at once; a webhook is opened as its owner's",
    "store/dump.py": "an export reads all tenants; each row is opened as its owner's",
    "store/revocations.py": "what is due in any tenant is claimed at once; an order is opened as its owner's",
    "store/tenants.py": "a tenant that is deleted, in the installation's transaction, hands over its revocations",
}
OF_INSTALLATION = {
    "service/audit/signing_keys.py": "the installation's keys sign the chains of all logs",
    "service/clients/auth_client_availability.py": "global auth clients are available everywhere",
    "service/offboarding/place_deletion.py": "global auth clients of the secrets that go are locked too",
    "service/secrets/revocation.py": "tokens of a tenant that is gone are revoked for the installation",
    "service/operator/crypto_shredding.py": "that a tenant was shredded is told where the operator finds it",
    "service/operator/key_retirement.py": "that a key was retired is told where the operator finds it",
    "service/tenancy/tenants.py": "that a tenant was deleted is told where the operator finds it",
    "store/auth_clients.py": "a secret may use a global auth client",
    "store/revocations.py": "what is pending outlives its tenant",
}
ACROSS_TENANTS = {
    "service/authz/usage_guard.py": "numbers of flows, which block a deletion wherever they are (13.2, 22)",
}
INSTALLATION = {
    "service/authz/access.py": "finds the tenant that an id is in; lets service accounts in, who belong to none",
    "service/audit/audit_retention.py": "finds the logs, to remove what is too old in each",
    "service/audit/audit_sink.py": "finds the logs with entries to send",
    "service/audit/chain_state.py": "finds the chains, for the operator",
    "service/audit/chainer.py": "finds the logs with events that have no place in their chain",
    "service/audit/counted_acts.py": "counts of all tenants together; each goes into its own log",
    "service/audit/signing_keys.py": "the installation's own keys, which sign the chains of all logs",
    "service/authz/quotas.py": "the operator's list of all tenants",
    "service/deleted_clients/operator_desk.py": "lists what can be restored, for the operator",
    "service/deleted_clients/purging.py": "finds whose deleted clients are over",
    "service/clients/secret_reminders.py": "finds the tenants with clients whose secret ends; global clients",
    "service/consents/callbacks.py": "finds the tenant that a state is in, before anybody is known",
    "service/consents/completion.py": "finds where the consent of an interrupted exchange is, and who started it",
    "service/consents/connect_page.py": "finds the tenant that a link is in, before anybody is known",
    "service/consents/connect_themes.py": "finds the tenant that a link, state or logo is of, for whoever has it",
    "service/consents/links.py": "finds the tenant that a link is in, before anybody is known",
    "service/discovery/registration_renewal.py": "finds the clients whose secret ends, with their tenants",
    "service/consents/device_polling.py": "finds where a consent is whose poll is due; claims by `claimed_jobs`",
    "service/consents/pushed_authorization.py": "finds where a consent is that somebody goes on with by its link",
    "service/identity/account_setup.py": "finds the tenant that a link is in, before anybody is known",
    "service/identity/authentication.py": "finds who an API key belongs to",
    "service/identity/console_sign_in.py": "finds who signs in, or is signed in, before anybody is known",
    "service/identity/form_key.py": "the installation's own row, which has the key",
    "service/identity/known_devices.py": "seals for the installation what browsers keep; reads no table",
    "service/identity/last_use.py": "notes when keys and secrets of all tenants were used, together",
    "service/importers/cutover.py": "finds the tenant that an import or client of the operator's command is in",
    "service/importers/environment_clients.py": "the list of tenants, for the operator's command",
    "service/importers/other_systems/bringing.py": "whether there is the tenant of the operator's command",
    "service/importers/other_systems/undoing.py": "finds the tenant that an import of the operator's command is in",
    "service/importers/platform/exporting.py": "the operator's export",
    "service/importers/platform/importing.py": "the operator's import",
    "service/jobs/claimed_jobs.py": "claims what is due in any tenant",
    "service/jobs/retention.py": "forgets what is too old, in all tenants",
    "service/operator/accounts.py": "the operator's accounts and keys, and the list of tenants",
    "service/operator/audit_reader.py": "the installation's audit log, for the operator",
    "service/operator/installation.py": "sets the installation up",
    "cli/grants.py": "the list of tenants whose grants the operator's command reports on",
    "service/operator/doctor/data.py": "numbers, processes and addresses, for the operator on the command line",
    "service/operator/doctor/network.py": "providers that grants are at, for the operator on the command line",
    "service/operator/grant_overview.py": "numbers of grants for the operator; lists go by the permissions",
    "service/operator/heartbeat.py": "the installation's own processes",
    "service/operator/key_retirement.py": "data keys of all owners, without the keys; the installation's log",
    "service/operator/key_rotation.py": "data keys of all owners; values are opened in their owner's unit alone",
    "service/operator/key_status.py": "numbers for the operator",
    "service/operator/key_watch.py": "the installation's data key, to see that it can be unwrapped",
    "service/operator/key_versions.py": "numbers of data keys for the operator",
    "service/operator/metrics.py": "numbers for the operator",
    "service/operator/client_doctor.py": "finds the tenant that a client of the operator's command is in",
    "service/operator/restored.py": "lists the tenants whose grants a restore has put in doubt, for the operator",
    "service/operator/rule_overview.py": "counts grants of all tenants that a rule concerns, for the operator",
    "service/operator/secrets.py": "finds the tenant that a secret or workspace of the operator's command is in",
    "service/containment/containment.py": "the operator's freezes, and the grants of any tenant that they are about",
    "service/secrets/freeze_watch.py": "what the operator has frozen, in any tenant; ids alone",
    "service/rotation/rotated_clients.py": "finds the tenant that a client of the operator's command is in",
    "service/rotation/trials.py": "claims rotations that are due in any tenant; rotations of global clients",
    "service/single_sign_on/sign_in.py": "finds the tenant of a domain, an address or a state, before anybody is known",
    "service/secrets/refresh/recovery.py": "finds interrupted refreshes in all tenants",
    "service/secrets/refresh/refresh_counter.py": "numbers of refreshes, of all tenants together",
    "service/secrets/refresh/refresher.py": "claims what is due in any tenant",
}
SNAPSHOT = {
    "service/importers/platform/exporting.py": "the operator's export, all of one moment",
}
WAYS = {
    "of_tenant": OF_TENANT,
    "of_installation": OF_INSTALLATION,
    "across_tenants": ACROSS_TENANTS,
    "installation": INSTALLATION,
    "snapshot": SNAPSHOT,
}
_BINDS = {"unit", "reading_on", "of_tenant"}
"""Calls that take a tenant first."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


MODULES = dict(sources())


def calls(tree: ast.AST) -> Iterator[tuple[str, str, ast.Call]]:
    """Yield every call as what it is called on, the name, and itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func.value), node.func.attr, node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield "", node.func.id, node


def named(tree: ast.AST, way: str) -> bool:
    """Tell whether a module takes a way, or hands it on uncalled; `Access` has a door called as the store's."""
    of_store = way in {"installation", "snapshot"}
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == way
        and (not of_store or ast.unparse(node.value).removeprefix("self.").lstrip("_").endswith("store"))
        for node in ast.walk(tree)
    )


def is_nobody(value: ast.expr) -> bool:
    """Tell whether an argument may be the installation's empty id, by how it is written."""
    return any(
        (isinstance(part, ast.Constant) and part.value == "")
        or (isinstance(part, ast.Name | ast.Attribute) and ast.unparse(part).endswith("INSTALLATION"))
        for part in ast.walk(value)
    )


def nameless(tree: ast.AST) -> list[str]:
    """Return what leaves a tenant without saying so."""
    found = []
    for on, name, call in calls(tree):
        made = name == "Unit"
        given = [*call.args[:1], *(each.value for each in call.keywords if each.arg == "tenant_id")]
        rebound = name == "replace" and any(each.arg == "tenant_id" for each in call.keywords)
        rebound = rebound and (on == "dataclasses" or (not on and "unit" in ast.unparse(call.args[0]).lower()))
        emptied = name in _BINDS and bool(on) and any(map(is_nobody, given))
        if made or rebound or emptied:
            found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("way", WAYS)
def test_only_listed_modules_leave_their_tenant(way: str) -> None:
    taken = {name for name, tree in MODULES.items() if named(tree, way) and name != "store/core/unit.py"}
    assert taken == WAYS[way].keys()


def test_nobody_leaves_a_tenant_without_saying_so() -> None:
    found = {name: nameless(tree) for name, tree in MODULES.items() if not name.startswith("store/core/")}
    assert not {name: lines for name, lines in found.items() if lines}


def test_the_store_itself_makes_units_in_two_modules_only() -> None:
    making = {name for name, tree in MODULES.items() if any(called == "Unit" for _, called, _ in calls(tree))}
    assert making == {"store/core/store.py", "store/core/unit.py"}


@pytest.mark.parametrize(
    "line",
    [
        "Unit(unit.connection, 'x', unit.keyring, unit.clock)",
        "core.Unit(connection, other, keyring, clock)",
        "replace(scope.unit, tenant_id='')",
        "dataclasses.replace(given, tenant_id=other)",
        "store.unit('')",
        "self._store.unit(tenant_id or '')",
        "access.reading_on(INSTALLATION)",
        "unit.of_tenant(keyring.INSTALLATION)",
        "unit.of_tenant(tenant_id='')",
    ],
)
def test_what_says_nothing_is_found(line: str) -> None:
    assert nameless(ast.parse(line))


@pytest.mark.parametrize(
    "line", ["unit.of_tenant(x)", "make = scope.unit.of_tenant", "store.installation", "s_store.installation()"]
)
def test_a_way_is_found_however_it_is_taken(line: str) -> None:
    assert any(named(ast.parse(line), way) for way in WAYS)
    assert not named(ast.parse("access.installation(who)"), "installation")


def test_a_unit_has_no_other_way() -> None:
    kept = {"seal", "open"}
    assert {name for name in vars(Unit) if callable(getattr(Unit, name)) and not name.startswith("_")} - kept == {
        "of_tenant",
        "of_installation",
        "across_tenants",
    }
