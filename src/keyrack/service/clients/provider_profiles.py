"""Shows the provider profiles that come with Keyrack, to everybody with an account."""

from collections.abc import Sequence

from keyrack.errors import NotFound
from keyrack.model.identity import Principal
from keyrack.oauth.profiles.catalogue import catalogue, matching
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.store.core.paging import After


class ProviderProfiles:
    """Use cases of the catalogue; there is nothing secret in it."""

    async def list(
        self, who: Principal, search: str | None, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[ProviderProfile], int]:
        """List profiles by name.

        Args:
            who: the caller.
            search: part of the name or title, whatever its case; None: all.
            limit: how many at most; None: all.
            offset: how many to pass over, or after which name.

        """
        del who
        found = matching(search)
        if isinstance(offset, After):
            found = [each for each in found if offset.key is None or each.name > str(offset.key)]
        start = 0 if isinstance(offset, After) else offset
        return found[start : None if limit is None else start + limit], len(found)

    async def get(self, who: Principal, name: str) -> ProviderProfile:
        """Return the profile of a name.

        Raises:
            NotFound: there is none of the name.
        """
        del who
        found = catalogue().get(name)
        if found is None:
            raise NotFound("there is no such provider profile")
        return found
