"""Lists the console's routes."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.params import PathParameter

from keyrack.console.audit.log import audit, audit_exported
from keyrack.console.building_blocks import building_blocks
from keyrack.console.core.refusals import answer_refusal
from keyrack.console.core.requests import PATH, SignInNeeded, answer_sign_in_needed
from keyrack.console.core.static_files import static_files
from keyrack.console.core.visit import visit, visitor
from keyrack.console.identity.account import account, other_sessions_ended, password_changed, session_ended
from keyrack.console.identity.api_keys import api_key_created, api_key_form, api_key_revoked, api_key_revoking
from keyrack.console.identity.people import (
    people,
    person,
    person_created,
    person_deleted,
    person_deleting,
    person_form,
    setup_link_made,
    tenant_roles_given,
)
from keyrack.console.identity.sign_in import sign_in_page, signed_in, signed_out
from keyrack.console.operator.service_accounts import (
    service_account_changed,
    service_account_deleted,
    service_account_deleting,
    service_account_form,
    service_account_list,
)
from keyrack.console.overview import overview
from keyrack.console.tenancy.contracts import (
    contract_created,
    contract_deleted,
    contract_deleting,
    contract_form,
    contract_list,
    contract_naming,
    contract_page,
    contract_renamed,
    contract_reopened,
    contract_suspended,
    contract_suspending,
    workspace_created,
    workspace_form,
)
from keyrack.console.tenancy.invites import (
    invite_accepted,
    invite_created,
    invite_form,
    invite_revoked,
    invite_revoking,
    invite_sent_again,
    own_invites,
)
from keyrack.console.tenancy.members import (
    contract_member,
    contract_member_added,
    contract_member_changed,
    contract_member_form,
    contract_member_removed,
    contract_member_removing,
    workspace_member,
    workspace_member_added,
    workspace_member_changed,
    workspace_member_form,
    workspace_member_removed,
    workspace_member_removing,
    workspace_members,
)
from keyrack.console.tenancy.roles import role_deleted, role_deleting, role_edit_form, role_form, role_list, role_saved
from keyrack.console.webhooks.deliveries import (
    delivery_list,
    delivery_page,
    delivery_replayed,
    event_list,
    event_page,
    event_replayed,
    period_replayed,
    replay_form,
)
from keyrack.console.webhooks.webhooks import (
    webhook_changed,
    webhook_created,
    webhook_deleted,
    webhook_deleting,
    webhook_disabling,
    webhook_edit_form,
    webhook_form,
    webhook_list,
    webhook_page,
    webhook_rotated,
    webhook_rotating,
    webhook_switched,
    webhook_tested,
)
from keyrack.errors import KeyrackError, NotFound

_A_YEAR = "public, max-age=31536000, immutable"
"""For which a file is kept whose name changes with its content."""


@get("/files/{name:str}")
async def console_file(name: Annotated[str, PathParameter(description="A style sheet or script.")]) -> Response[bytes]:
    """Return a file that pages load, to anybody.

    Raises:
        NotFound: there is none of this name.
    """
    found = static_files().get(name)
    if found is None:
        raise NotFound
    content, media_type = found
    return Response(content, media_type=media_type, headers={"cache-control": _A_YEAR})


CONSOLE = Router(
    PATH,
    route_handlers=[
        overview,
        sign_in_page,
        signed_in,
        signed_out,
        account,
        password_changed,
        session_ended,
        other_sessions_ended,
        audit,
        audit_exported,
        api_key_form,
        api_key_created,
        api_key_revoking,
        api_key_revoked,
        people,
        person_form,
        person_created,
        person,
        tenant_roles_given,
        setup_link_made,
        person_deleting,
        person_deleted,
        contract_list,
        contract_form,
        contract_created,
        contract_page,
        contract_renamed,
        contract_naming,
        contract_suspending,
        contract_suspended,
        contract_reopened,
        contract_deleting,
        contract_deleted,
        workspace_form,
        workspace_created,
        invite_form,
        invite_created,
        invite_sent_again,
        invite_revoking,
        invite_revoked,
        own_invites,
        invite_accepted,
        contract_member_form,
        contract_member_added,
        contract_member,
        contract_member_changed,
        contract_member_removing,
        contract_member_removed,
        workspace_members,
        workspace_member_form,
        workspace_member_added,
        workspace_member,
        workspace_member_changed,
        workspace_member_removing,
        workspace_member_removed,
        role_list,
        role_form,
        role_edit_form,
        role_saved,
        role_deleting,
        role_deleted,
        delivery_list,
        delivery_page,
        delivery_replayed,
        replay_form,
        period_replayed,
        event_list,
        event_page,
        event_replayed,
        webhook_list,
        webhook_form,
        webhook_created,
        webhook_page,
        webhook_edit_form,
        webhook_changed,
        webhook_switched,
        webhook_disabling,
        webhook_rotating,
        webhook_rotated,
        webhook_tested,
        webhook_deleting,
        webhook_deleted,
        service_account_changed,
        service_account_deleted,
        service_account_deleting,
        service_account_form,
        service_account_list,
        building_blocks,
        console_file,
    ],
    dependencies={"visit": Provide(visit), "who": Provide(visitor, sync_to_thread=False)},
    exception_handlers={SignInNeeded: answer_sign_in_needed, KeyrackError: answer_refusal},
    include_in_schema=False,
)
"""What is at `/console`. A handler gets a use case only once it is known who is visiting, as one of the API does."""
