"""Builds the use cases about people: who is calling, how they come in, sign in, and leave."""

from dataclasses import dataclass
from datetime import timedelta

from keyrack.service.authz.own_permissions import OwnPermissions
from keyrack.service.identity.account_setup import AccountSetup
from keyrack.service.identity.authentication import Authentication
from keyrack.service.identity.console_sign_in import ConsoleSignIn
from keyrack.service.identity.last_use import KeyUse
from keyrack.service.identity.password_hashing import PasswordHashing
from keyrack.service.identity.task_keys import TaskKeys
from keyrack.service.identity.two_step import TwoStep
from keyrack.service.identity.users import Users
from keyrack.service.offboarding.user_deletion import UserDeletion
from keyrack.service.operator.service_accounts import ServiceAccountAdmin
from keyrack.service.single_sign_on.identity_provider import IdentityProvider
from keyrack.service.single_sign_on.settings import SingleSignOnSettings
from keyrack.service.single_sign_on.sign_in import OrganisationSignIn
from keyrack.service.tenancy.invite_acceptance import InviteAcceptance
from keyrack.service.tenancy.invites import Invites
from keyrack.service.tenancy.setup_links import SetupLinkMaker
from keyrack.wiring.shared import Shared


@dataclass(frozen=True)
class IdentityServices:
    """The use cases about people."""

    authentication: Authentication
    own_permissions: OwnPermissions
    key_use: KeyUse
    task_keys: TaskKeys
    service_accounts: ServiceAccountAdmin
    users: Users
    user_deletion: UserDeletion
    passwords: PasswordHashing
    account_setup: AccountSetup
    invites: Invites
    invite_acceptance: InviteAcceptance
    console_sign_in: ConsoleSignIn
    two_step: TwoStep
    single_sign_on: SingleSignOnSettings
    organisation_sign_in: OrganisationSignIn


def build_identity(shared: Shared) -> IdentityServices:
    """Build them."""
    store, access, settings, now = shared.store, shared.access, shared.settings, shared.now
    passwords, key_use = PasswordHashing(), KeyUse(store, now)
    users = Users(access, passwords)
    setup_links = SetupLinkMaker(settings.public_url, sends_mail=settings.smtp_url is not None)
    console_sign_in = ConsoleSignIn(
        store,
        access,
        passwords,
        idle=timedelta(minutes=settings.console_idle_minutes),
        longest=timedelta(hours=settings.console_session_hours),
    )
    return IdentityServices(
        authentication=Authentication(store, now, key_use, shared.audit.counter),
        own_permissions=OwnPermissions(access),
        key_use=key_use,
        task_keys=TaskKeys(access),
        service_accounts=ServiceAccountAdmin(access),
        users=users,
        user_deletion=UserDeletion(access, users),
        passwords=passwords,
        account_setup=AccountSetup(store, access, setup_links, passwords),
        invites=Invites(access, setup_links),
        invite_acceptance=InviteAcceptance(access),
        console_sign_in=console_sign_in,
        two_step=TwoStep(store, access, console_sign_in),
        single_sign_on=SingleSignOnSettings(
            access, public_url=settings.public_url, allow_insecure=shared.allow_insecure
        ),
        organisation_sign_in=OrganisationSignIn(
            store,
            access,
            IdentityProvider(shared.provider, shared.issuers, now, allow_insecure=shared.allow_insecure),
            public_url=settings.public_url,
        ),
    )
