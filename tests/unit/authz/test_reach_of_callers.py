"""How far each kind of caller reaches, and how much of what blocks a deletion is told."""

import pytest

from keyrack.errors import ContractSuspended, Forbidden, NotFound, RelatedNotFound
from keyrack.model.flows import FlowStatus, Reference
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz import permissions
from keyrack.service.authz.access import _named, home
from keyrack.service.authz.references import named_in_body
from keyrack.service.authz.scope import Scope, scope_of
from keyrack.service.authz.task_users import PERMISSIONS, READ_CREDENTIALS, READ_WORKSPACE, own_place
from keyrack.service.authz.usage_guard import in_use
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Location
from support.app import World

TENANT, CONTRACT, WORKSPACE = Location("t"), Location("t", "c"), Location("t", "c", "w")
STEP = Principal(PrincipalKind.task_user, "u", "step", "t", contract_id="c", workspace_id="w")


async def scope_at(place: Location, who: Principal, door: object = None) -> Scope:
    nothing: Unit = None  # type: ignore[assignment] # neither is looked up in the database
    return await scope_of(nothing, who, place, door)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [PrincipalKind.service_account, PrincipalKind.system])
@pytest.mark.parametrize(
    ("held", "contracts", "workspaces"),
    [
        ({"contracts.contract.get"}, True, False),
        ({"global.contract.contract.list_all"}, True, False),
        ({"workspaces.flow.get"}, False, True),
        ({"global.workspace.get_all"}, False, True),
        ({"tenants.oauth_clients.get", "contractsx.y"}, False, False),
        (set(), False, False),
    ],
)
async def test_a_service_account_reaches_a_level_by_any_permission_of_it(
    kind: PrincipalKind, held: set[str], contracts: bool, workspaces: bool
) -> None:
    who = Principal(kind, "s", "service", permissions=frozenset(held))
    scope = await scope_at(WORKSPACE, who)
    assert (scope.in_contract, scope.in_workspace) == (contracts, workspaces)
    assert scope.permissions == held
    assert (scope.who, scope.place, scope.is_tenant_admin, scope.closed) == (who, WORKSPACE, False, False)


async def test_a_step_reaches_its_own_workspace_and_the_contract_around_it_through_a_door() -> None:
    inside = await scope_at(WORKSPACE, STEP, READ_CREDENTIALS)
    assert inside.permissions == PERMISSIONS | {"workspaces.credential.edit"}
    assert (inside.in_contract, inside.in_workspace) == (False, True)
    around = await scope_at(CONTRACT, STEP, READ_WORKSPACE)
    assert (around.permissions, around.in_contract, around.in_workspace) == (frozenset(), True, False)


async def test_a_step_is_a_stranger_everywhere_else_and_without_a_door() -> None:
    closed = await scope_at(WORKSPACE, STEP)
    assert (closed.permissions, closed.in_contract, closed.in_workspace) == (PERMISSIONS, False, False)
    for place in (TENANT, Location("t", "x"), Location("t", "c", "x"), Location("t", "x", "y")):
        scope = await scope_at(place, STEP, READ_CREDENTIALS)
        assert (scope.permissions, scope.in_contract, scope.in_workspace) == (frozenset(), False, False)
    assert not (await scope_at(CONTRACT, STEP)).in_contract
    nowhere = Principal(PrincipalKind.task_user, "u", "step", "t")
    for place in (TENANT, CONTRACT, WORKSPACE):
        scope = await scope_at(place, nowhere, READ_CREDENTIALS)
        assert (scope.permissions, scope.in_contract, scope.in_workspace) == (frozenset(), False, False)


def test_a_steps_own_place_is_whole_or_none() -> None:
    assert own_place(STEP) == WORKSPACE
    for lacking in ({"tenant_id": None}, {"contract_id": None}, {"workspace_id": None}):
        given = {"tenant_id": "t", "contract_id": "c", "workspace_id": "w", **lacking}
        with pytest.raises(Forbidden):
            own_place(Principal(PrincipalKind.task_user, "u", "step", **given))  # type: ignore[arg-type]


def test_a_users_home_is_its_tenant_and_a_service_account_has_none() -> None:
    assert home(Principal(PrincipalKind.user, "u", "user", "t")) == "t"
    with pytest.raises(Forbidden, match="no tenant of its own"):
        home(Principal(PrincipalKind.service_account, "s", "service"))


def test_what_was_named_is_told_by_the_narrowest_place() -> None:
    assert _named(TENANT) == ("tenant", "t")
    assert _named(CONTRACT) == ("contract", "c")
    assert _named(WORKSPACE) == ("workspace", "w")


def test_other_spellings_of_permissions_become_the_usual_one_and_unknown_ones_are_told() -> None:
    alias, usual = next(iter(permissions._ALIASES.items()))
    known = "workspaces.flow.edit"
    assert permissions.normalise([known, alias, "none.such", usual, known]) == ([known, usual], ["none.such"])


def may(*held: str, closed: bool = False) -> Scope:
    nothing: Unit = None  # type: ignore[assignment] # nothing is looked up in the database
    return Scope(nothing, STEP, WORKSPACE, frozenset(held), closed=closed)


def refused(scope: Scope, *named: str) -> str | None:
    """Return why changing these attributes is refused; None: it is not."""
    try:
        scope.require_edits({"name": "x.edit", "type": "x.edit_type"}, named)
    except (Forbidden, ContractSuspended) as error:
        return str(error)
    return None


def test_each_attribute_that_is_changed_needs_its_permission_and_a_change_of_none_any_of_them() -> None:
    assert refused(may("x.edit"), "name") is None
    assert refused(may("x.edit"), "name", "type") == "this needs the permission x.edit_type"
    assert refused(may("x.edit_type"), "name") == "this needs the permission x.edit"
    assert refused(may("x.edit_type"), "type", "other") is None
    assert refused(may("x.edit_type")) is None
    assert refused(may("x.other")) == "this needs the permission x.edit or x.edit_type"


def test_a_suspended_contract_is_told_to_those_alone_who_may_do_it() -> None:
    assert refused(may("x.edit", closed=True), "name") == str(ContractSuspended())
    assert refused(may("x.other", closed=True), "name") == "this needs the permission x.edit or x.edit_type"
    may("x.y").require("x.z", "x.y")
    may().require_that(True, "no member")
    with pytest.raises(Forbidden, match="no member"):
        may().require_that(False, "no member")
    closed = may("x.y", closed=True)
    with pytest.raises(ContractSuspended):
        closed.require_that(True, "no member")
    with pytest.raises(ContractSuspended):
        closed.require("x.y")


def test_what_a_body_names_and_is_not_there_is_told_with_its_place() -> None:
    with pytest.raises(RelatedNotFound, match="there is no such contract") as raised, named_in_body("contract"):
        raise NotFound
    assert [problem.pointer for problem in raised.value.problems] == ["/data/relationships/contract/data/id"]
    with pytest.raises(Forbidden), named_in_body("contract"):
        raise Forbidden
    with named_in_body("contract"):
        pass


def blocking(*numbers: int) -> list[Reference]:
    return [Reference(f"f{number}", f"Flow {number}", FlowStatus.inactive, "w", ("graph",)) for number in numbers]


@pytest.mark.parametrize(
    ("total", "known", "said"),
    [
        (1, [1], "'Flow 1' (f1)"),
        (2, [1, 2], "'Flow 1' (f1), 'Flow 2' (f2)"),
        (3, [1], "'Flow 1' (f1) and 2 more"),
        (2, [], "2 more"),
    ],
)
def test_flows_that_the_caller_may_not_know_are_a_number(total: int, known: list[int], said: str) -> None:
    error = in_use("the component", total, blocking(*known))
    assert str(error) == f"the component is in use by flows: {said}"
    assert error.meta == {"flow_ids": [f"f{number}" for number in known], "flows": total}


async def test_a_user_of_another_tenant_has_no_scope(keyrack: World) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    who = Principal(PrincipalKind.user, globex.admin.id, "admin", globex.id)
    async with keyrack.store.unit(acme.id) as unit:
        with pytest.raises(Forbidden):
            await scope_of(unit, who, Location(acme.id), None)
