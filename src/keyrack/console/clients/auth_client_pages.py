"""What the pages of auth clients have in common: components by id and name, and the address to register."""

from collections.abc import Mapping, Sequence

from keyrack.console.clients.auth_client_form import (
    COMPONENTS_POINTER,
    lines_of,
)
from keyrack.console.core.forms import Form
from keyrack.console.core.visit import Visit
from keyrack.errors import Problem, ProviderError, ProviderUnavailable, RelatedNotFound, StateConflict, ValidationFailed
from keyrack.ids import is_id
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.consents.registration_by_hand import RegistrationsByHand

PATH = "/console/auth-clients"
AS_DECLARED = ("", "As a linked component says, else in the body of the request")
"""How a client authenticates if its form says nothing."""
REFUSALS = (ValidationFailed, RelatedNotFound, StateConflict, ProviderError, ProviderUnavailable)
"""What a form is shown again with."""


async def components_of(visit: Visit, client_needs: ClientNeeds, form: Form) -> Sequence[str]:
    """Return the ids of the components that a form names, by id or as `team/component`.

    Raises:
        ValidationFailed: one is not there, or there is none.
    """
    lines, tenant_id = list(dict.fromkeys(lines_of(form, "components"))), visit.who.tenant_id
    names = [line for line in lines if not is_id(line)]
    ids = {} if tenant_id is None else await client_needs.identified(visit.who, tenant_id, names)
    missing = [name for name in names if name not in ids]
    if missing:
        raise ValidationFailed(Problem(f"there is no component {missing[0]}", COMPONENTS_POINTER))
    if not lines:
        raise ValidationFailed(Problem("name at least one component", COMPONENTS_POINTER))
    return [ids.get(line, line) for line in lines]


async def component_names(visit: Visit, client_needs: ClientNeeds, ids: Sequence[str]) -> Mapping[str, str]:
    """Return names by id, as far as the visitor may see them."""
    if visit.who.tenant_id is None:
        return {}
    found = await client_needs.named(visit.who, visit.who.tenant_id, ids)
    return {each.id: each.full_name for each in found.values()}


async def redirect_uri_for(visit: Visit, registrations: RegistrationsByHand) -> str:
    """Return the address to register; of a global client each tenant has its own, unless all have one."""
    return "" if visit.who.tenant_id is None else await registrations.redirect_uri(visit.who, visit.who.tenant_id)
