"""Plays a profile of OAuth 1.0a against its twin, through a component with an `oauth1` block (contract section 21)."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from keyrack.conformance.installation import EmbeddedKeyrack
from keyrack.conformance.report import Outcome, Step, lines_of
from keyrack.errors import KeyrackError, ProviderError, ProviderUnavailable
from keyrack.ids import new_id
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.oauth1_requests import authorization_extras, temporary_credentials_address
from keyrack.oauth.profiles.templates import filled
from keyrack.service.components.builds import NewBuild
from keyrack.service.components.components import NewComponent
from keyrack.service.consents.values import NewConsent
from keyrack.simulator.twin.oauth1 import REFUSAL, OAuth1Twin
from keyrack.simulator.twin.registration import Registration
from keyrack.validation.unvalidated import Unvalidated

_FIELD = "account"


def descriptor_of(profile: ProviderProfile, registered: Registration) -> dict[str, Any]:
    """Return the descriptor of a component that connects accounts as a profile says.

    Args:
        profile: of OAuth 1.0a.
        registered: the client, and what was filled in.
    """
    values = registered.values
    return {
        "title": profile.title,
        "credentials": {
            "fields": {_FIELD: {"label": "Account", "viewClass": "OAuthFieldView"}},
            "oauth1": {
                "consumer_key": registered.client_id,
                "consumer_secret": registered.client_secret,
                "request_token_uri": temporary_credentials_address(profile, values),
                "auth_uri": filled(profile.endpoints.authorization or (), values),
                "access_token_uri": filled(profile.endpoints.token or (), values),
                **({} if profile.oauth1 is None else {"signature_method": profile.oauth1.signature_method.value}),
            },
        },
        "actions": {"run": {"title": "Run", "main": "./run.js"}},
    }


class OAuth1Player:
    """One connection of a component at a twin.

    Args:
        made: where to connect.
        profile: of OAuth 1.0a.
        twin: who answers.
    """

    def __init__(self, made: EmbeddedKeyrack, profile: ProviderProfile, twin: OAuth1Twin) -> None:
        self._made = made
        self._services = made.services
        self._profile = profile
        self._twin = twin
        self._told = 0

    async def connection(self) -> Sequence[Step]:
        """Connect, and be refused the next time, as far as it goes."""
        try:
            component_id = await self._component()
            consent_id, url = await self._start(component_id)
        except KeyrackError as error:
            return [self._step("consent", lines_of(error))]
        location = self._twin.open_in_browser(url)
        steps = [self._step("consent")]
        if not location:
            return steps
        steps.append(await self._token(consent_id, location))
        steps.append(Step("refresh", Outcome.nothing, ["OAuth 1.0a has no refresh tokens"]))
        steps.append(Step("introspection", Outcome.nothing, ["OAuth 1.0a has no introspection"]))
        steps.append(await self._error(component_id))
        steps.append(Step("revoke", Outcome.nothing, ["OAuth 1.0a has no revocation"]))
        return steps

    async def _component(self) -> str:
        who, team_id = self._made.who, self._made.team_id
        component = NewComponent(team_id, None, f"twin-{new_id()}", {})
        made = await self._services.components.create(who, Unvalidated(lambda: team_id), Unvalidated(lambda: component))
        build = NewBuild(descriptor_of(self._profile, self._twin.reading.registered), None)
        await self._services.builds.add(who, made.id, Unvalidated(lambda: build))
        return made.id

    async def _start(self, component_id: str) -> tuple[str, str]:
        extras: Mapping[str, str] = authorization_extras(self._profile, self._twin.reading.registered.values)
        new = NewConsent(component_id=component_id, name=self._profile.title, additional_params=extras)
        started = await self._services.consents.start(self._made.who, self._made.workspace_id, Unvalidated(lambda: new))
        return started.id, started.context.authorization_url or ""

    async def _token(self, consent_id: str, location: str) -> Step:
        """Come back with a verifier, and see that the token credentials are stored."""
        await self._services.callbacks.finish("oauth1", dict(parse_qsl(urlsplit(location).query)), {}, None, None)
        done = await self._services.consents.get(self._made.who, self._made.workspace_id, consent_id)
        if done.result_id is None:
            return self._step("token", [done.error or "the consent did not complete"])
        view = await self._services.credentials.get(self._made.who, done.result_id)
        found = view.credential.keys.get(_FIELD) or {}
        given = {"oauth_token": self._twin.token, "oauth_token_secret": self._twin.token_secret}
        return self._step(
            "token", [f"another {name} was stored than was given" for name in given if found.get(name) != given[name]]
        )

    async def _error(self, component_id: str) -> Step:
        """Ask for temporary credentials once more, and be refused."""
        self._twin.refuses = True
        try:
            await self._start(component_id)
        except (ProviderError, ProviderUnavailable) as error:
            said = error.failure.error
            return self._step("error", [] if said == REFUSAL else [f"the error's code is {said}, not {REFUSAL}"])
        return self._step("error", ["the twin was not asked, or its refusal was not seen"])

    def _step(self, name: str, problems: Sequence[str] = ()) -> Step:
        found = self._twin.differences[self._told :]
        self._told = len(self._twin.differences)
        lines = [*map(str, found), *problems]
        return Step(name, Outcome.differs if lines else Outcome.held, lines)
