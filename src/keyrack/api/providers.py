"""`/v2/providers`: the provider profiles that come with Keyrack (extension, decision 38)."""

from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from keyrack.api.core.dependencies import WantedPage, Who
from keyrack.api.core.jsonapi import Many, SelfLink, Single, link_self
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import document_of
from keyrack.service.clients.provider_profiles import ProviderProfiles


class ProviderProfileMeta(msgspec.Struct):
    """What is known of a profile beside what it says: `legacy`, its grant is only for who has nothing better."""

    legacy: bool


class ProviderProfileResource(msgspec.Struct):
    """A profile; its attributes are the profile's members, as an auth client's `provider_profile` takes them."""

    id: str
    links: SelfLink
    attributes: dict[str, Any]
    meta: ProviderProfileMeta
    type: Literal["provider-profile"] = "provider-profile"


class ProviderController(Controller):
    """Provider profiles."""

    path = "/v2/providers"
    tags = ("Auth clients",)

    @get(responses=Refusals.of(400))
    async def list_all(
        self,
        who: Who,
        provider_profiles: NamedDependency[ProviderProfiles],
        page: WantedPage,
        search: Annotated[
            str | None, QueryParameter(name="filter[search]", description="Part of the name or title.")
        ] = None,
    ) -> Many[ProviderProfileResource]:
        """List the provider profiles that come with Keyrack (extension)."""

        async def read(*, limit: int | None, offset: Any) -> Any:
            return await provider_profiles.list(who, search, limit=limit, offset=offset)

        return await read_list(page, read, _resource, key=attrgetter("name"))

    @get("/{provider_name:str}", responses=Refusals.of(404))
    async def retrieve(
        self, provider_name: PATH_ID, who: Who, provider_profiles: NamedDependency[ProviderProfiles]
    ) -> Single[ProviderProfileResource]:
        """Return one provider profile (extension)."""
        return Single(_resource(await provider_profiles.get(who, provider_name)))


def _resource(profile: ProviderProfile) -> ProviderProfileResource:
    links, meta = link_self(f"/v2/providers/{profile.name}"), ProviderProfileMeta(profile.is_legacy)
    return ProviderProfileResource(profile.name, links, document_of(profile), meta)
