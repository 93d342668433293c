"""Sets up how the people of a tenant sign in through their organisation's OpenID provider (decision 31).

Whoever does can send everybody of the tenant to a provider of their own, and be anybody there. So it needs beside
`tenants.tenant.edit` the right to give roles in the tenant, with which one can be anybody as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, NotFound, Problem, ValidationFailed
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.single_sign_on import LinkedIdentity, SingleSignOn
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.provider_text import has_controls
from keyrack.provider.uri_guard import check_issuer
from keyrack.service.authz.access import Access
from keyrack.service.authz.permissions import GIVE_TENANT_ROLES
from keyrack.service.tenancy.tenants import base_address
from keyrack.store.core.unit import Unit
from keyrack.store.single_sign_on import LinkedIdentities, SingleSignOnRows
from keyrack.validation.emails import email_key, fault_of
from keyrack.validation.unvalidated import Unvalidated

EDIT = "tenants.tenant.edit"
"""The permission that everything here needs."""
CLIENT_AUTH = tuple(
    each.value
    for each in (
        TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
        TokenEndpointAuthMethod.CLIENT_SECRET_POST,
        TokenEndpointAuthMethod.NONE,
    )
)
"""How a client may authenticate; the last one is for public clients."""

_TARGET = "single-sign-on"
_MOST_DOMAINS = 50
_LONGEST_DOMAIN = 253
_LONGEST_CLIENT_ID = 1000
_LONGEST_SECRET = 4096
_NOT_TRIED = (
    "passwords can be turned off once you have signed in through this provider yourself, so that nobody locks"
    " everybody out by a wrong setting"
)


@dataclass(frozen=True, slots=True)
class WantedSingleSignOn:
    """What a tenant admin wants; see `SingleSignOn`.

    Attributes:
        client_secret: None keeps the one that is stored, for the same provider and client.
    """

    issuer: str
    client_id: str
    client_auth: str
    domains: Sequence[str]
    creates_users: bool
    allows_passwords: bool
    client_secret: Secret | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SingleSignOnView:
    """What a tenant admin sees.

    Attributes:
        settings: without the client secret; None: there is no single sign-on.
        address: where the people of the tenant sign in, for a bookmark.
        redirect_uri: what is to be registered at the provider.
        links: accounts that belong to somebody at the provider.
        may_change: whether the caller may change the settings.
    """

    settings: SingleSignOn | None
    address: str
    redirect_uri: str
    links: int
    may_change: bool


class SingleSignOnSettings:
    """For tenant admins.

    Args:
        access: the way into every operation.
        public_url: the setting of this name.
        allow_insecure: as of `check_issuer`.
    """

    def __init__(self, access: Access, *, public_url: str | None, allow_insecure: bool) -> None:
        self._access = access
        self._public_url = public_url
        self._allow_insecure = allow_insecure

    async def get(self, who: Principal, tenant_id: str) -> SingleSignOnView:
        """Return how single sign-on is set up, the client secret left out."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(EDIT)
            found = await SingleSignOnRows(scope.unit).find()
            address = await sign_in_address(scope.unit, self._public_url)
            return SingleSignOnView(
                None if found is None else _without_secret(found),
                address,
                f"{address}/callback",
                await LinkedIdentities(scope.unit).count(),
                scope.allows(GIVE_TENANT_ROLES),
            )

    async def put(self, who: Principal, tenant_id: str, wanted: Unvalidated[WantedSingleSignOn]) -> None:
        """Set single sign-on up, or change it. Another issuer undoes all links to accounts.

        Raises:
            Forbidden: the caller may not edit the tenant, or not give roles in it.
            ValidationFailed: the settings cannot be used, or would lock everybody out.
        """
        async with self._access.tenant(who, tenant_id, f"{_TARGET}.change", exclusive=True) as scope:
            scope.require(EDIT)
            scope.require(GIVE_TENANT_ROLES)
            rows, links = SingleSignOnRows(scope.unit), LinkedIdentities(scope.unit)
            before, given = await rows.find(), wanted.validated()
            changed = self._checked(scope.unit, given, before)
            moves = before is not None and before.issuer != changed.issuer
            if not changed.allows_passwords and (before is None or before.allows_passwords or moves):
                await _require_tried(links, who, moves=before is None or moves)
            if moves:
                await links.remove_all()
            try:
                scope.audit_target(_TARGET, await rows.put(changed))
            except AlreadyExists as taken:
                detail = f"{taken}: a domain is one tenant's alone. Ask whoever runs this installation."
                raise ValidationFailed(Problem(detail, "/domains")) from None

    async def remove(self, who: Principal, tenant_id: str) -> None:
        """Take single sign-on away, with all links to accounts; passwords are good again.

        Raises:
            Forbidden: the caller may not edit the tenant, or not give roles in it.
            NotFound: there is none.
        """
        async with self._access.tenant(who, tenant_id, f"{_TARGET}.delete", exclusive=True) as scope:
            scope.require(EDIT)
            scope.require(GIVE_TENANT_ROLES)
            before = await SingleSignOnRows(scope.unit).find()
            if before is None or not await SingleSignOnRows(scope.unit).remove():
                raise NotFound("there is no single sign-on")
            scope.audit_target(_TARGET, before.id)

    async def links(
        self, who: Principal, tenant_id: str, *, beginning: str = "", limit: int | None, offset: int = 0
    ) -> tuple[Sequence[LinkedIdentity], int]:
        """List the accounts that belong to people at the provider; return a page and the number of all.

        Args:
            who: is asking.
            tenant_id: the tenant.
            beginning: only of users in whose name or email a word begins so, or with this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(EDIT)
            return await LinkedIdentities(scope.unit).page(beginning=beginning, limit=limit, offset=offset)

    async def link(self, who: Principal, tenant_id: str, user_id: str) -> LinkedIdentity:
        """Return whose at the provider a user's account is, for who may undo it.

        Raises:
            Forbidden: the caller may not edit the tenant, or not give roles in it.
            NotFound: it is not linked.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(EDIT)
            scope.require(GIVE_TENANT_ROLES)
            found = await LinkedIdentities(scope.unit).find(user_id)
        if found is None:
            raise NotFound("this account is not linked")
        return found

    async def unlink(self, who: Principal, tenant_id: str, user_id: str) -> None:
        """Undo a user's link: at the next sign-in the account is matched by its email anew.

        Raises:
            Forbidden: the caller may not edit the tenant, or not give roles in it.
            NotFound: there is no such link.
        """
        async with self._access.tenant(who, tenant_id, f"{_TARGET}.unlink") as scope:
            scope.require(EDIT)
            scope.require(GIVE_TENANT_ROLES)
            if not await LinkedIdentities(scope.unit).remove(user_id):
                raise NotFound("this account is not linked")
            scope.audit_target("user", user_id)

    def _checked(self, unit: Unit, given: WantedSingleSignOn, before: SingleSignOn | None) -> SingleSignOn:
        domains = list(dict.fromkeys(_domain_key(each) for each in given.domains))
        secret = given.client_secret
        same = before is not None and (before.issuer, before.client_id) == (given.issuer, given.client_id)
        if secret is None and same and before is not None and before.client_secret:
            secret = before.client_secret
        public = given.client_auth == TokenEndpointAuthMethod.NONE
        problems = [*self._problems(given), *_domain_problems(given.domains, creates_users=given.creates_users)]
        if not public and not secret:
            detail = "is needed" if before is None else "is needed: the stored one is of another provider or client"
            problems.append(Problem(f"the client secret {detail}", "/client_secret"))
        if problems:
            raise ValidationFailed(*problems)
        now = unit.clock()
        return SingleSignOn(
            "" if before is None else before.id,
            unit.tenant_id,
            given.issuer,
            given.client_id,
            given.client_auth,
            Secret("") if public or secret is None else secret,
            domains,
            given.creates_users,
            given.allows_passwords,
            now if before is None else before.created_at,
            now,
        )

    def _problems(self, given: WantedSingleSignOn) -> Iterator[Problem]:
        try:
            check_issuer(given.issuer, allow_insecure=self._allow_insecure, pointer="/issuer")
        except ValidationFailed as wrong:
            yield from wrong.problems
        secret = "" if given.client_secret is None else given.client_secret.reveal()
        if not given.client_id or len(given.client_id) > _LONGEST_CLIENT_ID or has_controls(given.client_id):
            yield Problem("the client id is empty, too long, or has characters that cannot be stored", "/client_id")
        if len(secret) > _LONGEST_SECRET or has_controls(secret):
            yield Problem("the client secret is too long, or has characters that cannot be stored", "/client_secret")
        if given.client_auth not in CLIENT_AUTH:
            yield Problem(f"is one of {', '.join(CLIENT_AUTH)}", "/client_auth")


async def sign_in_address(unit: Unit, public_url: str | None) -> str:
    """Return where the people of the unit's tenant sign in through their organisation.

    The redirect URI begins with it: each tenant has its own, so that no provider can have another's answer sent to it
    (RFC 9700 section 4.4.2).
    """
    return f"{await base_address(unit, public_url)}/console/sign-in/{unit.tenant_id}"


async def _require_tried(links: LinkedIdentities, who: Principal, *, moves: bool) -> None:
    """Insist that the settings have let somebody in: the caller, if that is a user.

    Raises:
        ValidationFailed: they have not.
    """
    tried = await (links.is_linked(who.id) if who.kind is PrincipalKind.user else links.count())
    if moves or not tried:
        raise ValidationFailed(Problem(_NOT_TRIED, "/allows_passwords"))


def _domain_key(domain: str) -> str:
    """Return the form in which domains of emails are compared."""
    return email_key(f"a@{domain.strip().removeprefix('@')}").partition("@")[2]


def _domain_problems(domains: Sequence[str], *, creates_users: bool) -> Iterator[Problem]:
    if len(domains) > _MOST_DOMAINS:
        yield Problem(f"there are more than {_MOST_DOMAINS} domains", "/domains")
        return
    for each in domains:
        key = _domain_key(each)
        fault = "a domain has a dot" if "." not in key.strip(".") else fault_of(f"a@{key}")
        if fault is not None or len(key) > _LONGEST_DOMAIN or "/" in key:
            yield Problem(f"{each[:100]} is no domain of emails", "/domains")
    if creates_users and not domains:
        yield Problem("name the domains whose people get an account by themselves", "/domains")


def _without_secret(settings: SingleSignOn) -> SingleSignOn:
    return replace(settings, client_secret=Secret("…" if settings.client_secret else ""))
