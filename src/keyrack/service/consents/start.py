"""Starts a consent, and tells how far it is (contract section 20). Its end: `callbacks`."""

from dataclasses import replace
from datetime import timedelta

from keyrack.clock import Clock
from keyrack.errors import KeyrackError, NotFound
from keyrack.ids import new_id
from keyrack.model.consents import Consent, ConsentStatus
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.oauth.state import new_state, state_hash
from keyrack.service.authz.access import Access, Scope
from keyrack.service.consents.first_requests import FirstRequests
from keyrack.service.consents.links import introduction, link_address, link_hash
from keyrack.service.consents.protocols import first_request
from keyrack.service.consents.return_url import checked_return_url
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.consents.values import TARGET, ConsentHandlers, NewConsent, PlannedConsent
from keyrack.service.tenancy.tenants import base_address
from keyrack.store.connect_themes import ConnectThemeRows
from keyrack.store.consents import ConsentRows
from keyrack.validation.unvalidated import Unvalidated


class ConsentStart:
    """Use cases of contract section 20.

    Args:
        access: the way into every operation.
        first: sends what a provider has to be sent first.
        targets: what consents make.
        issuers: what is known of authorization servers.
        public_url: the base of callback addresses; None: each tenant's own (contract 0.7).
        lifetime: how long a consent can be finished.
        clock: the time.
    """

    def __init__(
        self,
        access: Access,
        first: FirstRequests,
        targets: ConsentHandlers,
        issuers: ServerMetadata,
        *,
        public_url: str | None,
        lifetime: timedelta,
        clock: Clock,
    ) -> None:
        self._access = access
        self._first = first
        self._targets = targets
        self._issuers = issuers
        self._public_url = public_url
        self._lifetime = lifetime
        self._clock = clock

    async def start(
        self, who: Principal, workspace_id: str, new: Unvalidated[NewConsent], consent_id: str | None = None
    ) -> Consent:
        """Start a consent and return it with the address to send the user's browser to, in its context.

        Args:
            who: the caller.
            workspace_id: where.
            new: what is wanted.
            consent_id: a new id for it, where it has to be known before; None: any.

        Raises:
            Forbidden: the permission is missing, or the caller is no person, or no member, as the callback asks again.
            ValidationFailed: the body, a field or a template is wrong; the return URL is foreign.
            RelatedNotFound: the workspace does not have the component, auth client, credential or secret.
            OAuthClientMissing: the tenant has no OAuth client for the component (contract 0.4).
            ProviderError, ProviderUnavailable: the provider gives no temporary credentials (OAuth 1.0a) or codes for a
                device, or does not take a request that is pushed.
        """
        async with self._access.workspace(who, workspace_id, "consent.start") as scope:
            wanted, planned, base = await self.judge(scope, new)
            state = new_state()
            first = first_request(planned, wanted, base, state)
            context = first.context
            link = new_state() if wanted.bound else None
            if link is not None:
                told = await introduction(scope, wanted, planned)
                context = replace(context, introduction=told, link=link_address(base, link))
            now = self._clock()
            consent = Consent(
                id=consent_id or new_id(),
                tenant_id=scope.unit.tenant_id,
                workspace_id=workspace_id,
                user_id=who.id,
                component_id=wanted.component_id,
                credential_id=wanted.credential_id,
                auth_client_id=wanted.auth_client_id,
                auth_secret_id=wanted.auth_secret_id,
                status=ConsentStatus.pending,
                error=None,
                result_id=None,
                created_at=now,
                expires_at=now + self._lifetime,
                context=context,
                bound=wanted.bound,
            )
            # Of OAuth 1.0a nobody knows the state: its callback is found by the token that is asked for now.
            await ConsentRows(scope.unit).add(consent, state_hash(state), link and link_hash(link))
            scope.audit_target(TARGET, consent.id)
        if context.issuer is not None:
            self._issuers.prepare(context.issuer, tenant_id=consent.tenant_id)
        try:
            return await self._first.send(consent, planned, first.parameters)
        except KeyrackError:
            await self._access.record(who, scope.place, "consent.start", (TARGET, consent.id))
            raise

    async def judge(self, scope: Scope, new: Unvalidated[NewConsent]) -> tuple[NewConsent, PlannedConsent, str]:
        """Judge whether the scope's caller may start such a consent there, and whether it could work.

        Returns:
            What is wanted, with the return URL as it is sent to a browser; what the authorization request is made of;
            the base of our addresses.

        Raises:
            KeyrackError: as `start`, but for what a provider answers.
        """
        scope.require(*self._targets.permissions)
        scope.require_that(scope.who.kind is PrincipalKind.user, "only a user can connect an account")
        scope.require_that(scope.in_workspace, "only a member of the workspace can connect an account")
        wanted = new.validated()
        target = self._targets.of(wanted.auth_client_id)
        scope.require(target.permissions[1 if wanted.again else 0])
        planned = await target.plan(scope, wanted)
        base = await base_address(scope.unit, self._public_url)
        if wanted.return_url is not None:
            allowed = await ConnectThemeRows(scope.unit).return_origins()
            wanted = replace(wanted, return_url=checked_return_url(wanted.return_url, base, allowed))
        return wanted, planned, base

    async def address(self, consent: Consent) -> str | None:
        """Return where the browser of a pending consent begins, at this moment; None for a device's.

        Raises:
            KeyrackError: the consent may not be finished any more, or its request is pushed and not taken.
        """
        return await self._first.pushed.address(consent)

    async def get(self, who: Principal, workspace_id: str, consent_id: str) -> Consent:
        """Return a consent to the one who started it.

        Raises:
            NotFound: there is none, or somebody else started it.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(*self._targets.permissions)
            consent = await ConsentRows(scope.unit).find(consent_id)
            if consent is None or consent.workspace_id != workspace_id or consent.user_id != who.id:
                if consent is not None:
                    self._access.counts.denied(who, scope.place.tenant_id, ("oauth-consent", consent_id))
                raise NotFound("there is no such consent of yours")
            if consent.status is ConsentStatus.exchanging:
                late = consent.expires_at <= self._clock()
                return _shown(consent, ConsentStatus.failed if late else ConsentStatus.pending)
            expired = consent.status is ConsentStatus.pending and consent.expires_at <= self._clock()
            return _shown(consent, ConsentStatus.failed if expired else consent.status)


def _shown(consent: Consent, status: ConsentStatus) -> Consent:
    expired = status is ConsentStatus.failed and consent.error is None
    return replace(consent, status=status, error="the consent has expired" if expired else consent.error)
