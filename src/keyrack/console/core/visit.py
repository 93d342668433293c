"""A request of somebody who is signed in: who asks, what they may be offered, and how they are answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from litestar import Response
from litestar.di import NamedDependency

from keyrack.console.core.forms import Form
from keyrack.console.core.lists import AFTER, BEFORE, Pager, Turner
from keyrack.console.core.navigation import entries
from keyrack.console.core.rendering import render
from keyrack.console.core.requests import AnyRequest, Console, page_number
from keyrack.model.identity import Principal
from keyrack.model.windows import Beside, Window
from keyrack.service.authz.own_permissions import OwnAccess, OwnPermissions
from keyrack.service.identity.console_sign_in import SignedIn

_LONGEST_FILTER = 500
_READING = frozenset({"GET", "HEAD"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page's handler works with.

    Attributes:
        at_home: what the visitor may do in their tenant, or, without one, in the installation.
        form_key: with which is known what a form of ours was shown with.
    """

    request: AnyRequest
    console: Console
    signed_in: SignedIn
    at_home: OwnAccess
    form_key: bytes = field(repr=False)

    @property
    def who(self) -> Principal:
        """The visitor."""
        return self.signed_in.who

    def allows(self, *permissions: str) -> bool:
        """Tell whether the visitor holds one of the permissions in their tenant or in the installation."""
        return self.at_home.allows(*permissions)

    async def form(self) -> Form:
        """Return the form that was sent; it is one of ours, or there would be no visit."""
        return await self.console.form(self.request)

    def asked(self, name: str) -> str:
        """Return a parameter of the address, such as a filter, without the spaces around it; empty without it."""
        return str(self.request.query_params.get(name, ""))[:_LONGEST_FILTER].strip().replace("\0", "")

    def done(self, words: Mapping[str, str]) -> str:
        """Return what to say of what the form before has done; empty if the address tells of nothing known.

        Args:
            words: by the name that `go` was given as `done`.
        """
        return words.get(self.asked("done"), "")

    def page_number(self, name: str = "page") -> int:
        """Return which page of a list is asked for, from 1."""
        return page_number(self.request, name)

    def pager(self, total: int, name: str = "page") -> Pager:
        """Return where one is in a list; the links to its other pages keep the address's other parameters."""
        given = self.request.query_params
        kept = {each: self.asked(each) for each in given if each != name and self.asked(each)}
        return Pager(name, self.page_number(name), total, kept)

    def beside(self) -> Beside[str]:
        """Return which part of a long list is asked for, by the key of the row beside it."""
        if before := self.asked(BEFORE):
            return Beside(before, backwards=True)
        return Beside(self.asked(AFTER) or None)

    def turner(self, seen: Window[T], key: Callable[[T], str]) -> Turner:
        """Return where one is in a long list; the links keep the address's other parameters.

        Args:
            seen: the part that is shown.
            key: what `beside` then is about.
        """
        given = self.request.query_params
        kept = {each: self.asked(each) for each in given if each not in (AFTER, BEFORE) and self.asked(each)}
        earlier = urlencode({**kept, BEFORE: key(seen.rows[0])}) if seen.has_earlier and seen.rows else None
        later = urlencode({**kept, AFTER: key(seen.rows[-1])}) if seen.has_later and seen.rows else None
        return Turner(earlier, later, urlencode(kept))

    def page(
        self, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
    ) -> Response[str]:
        """Return a page in the console's frame.

        Args:
            template: name of its template.
            status: of the answer.
            headers: further headers.
            values: for the template.
        """
        cookie = self.console.cookie(self.request)
        here = str(self.request.scope["path"]).rstrip("/")
        return render(
            template,
            status,
            headers=headers,
            **values,
            visit=self,
            root=self.console.root,
            now=self.console.sign_in.now(),
            email=self.who.name,
            form_token="" if cookie is None else cookie.form_token,
            here=here,
            address=self._address(here),
            navigation=entries(self.who, self.at_home, here),
        )

    def go(self, path: str, **query: str) -> Response[str]:
        """Send the browser to a page of ours, which it then gets with GET."""
        return self.console.go(path, None, **query)

    def _address(self, here: str) -> str:
        """Return the address of this page as it was asked for, on our host."""
        query = urlencode([(name, value) for name, value in self.request.query_params.multi_items()])
        return f"{self.console.root}{here}{'?' if query else ''}{query}"


async def visit(
    request: AnyRequest, console: NamedDependency[Console], own_permissions: NamedDependency[OwnPermissions]
) -> Visit:
    """Hand the visit to a handler. Whatever changes something must have come by a form of ours, read or not.

    Raises:
        SignInNeeded: nobody is signed in.
        FormNotOurs: another site's page has sent it.
        RateLimited: the person, or all of the tenant, make too many requests.
    """
    signed_in = await console.signed_in(request)
    if request.method not in _READING:
        await console.form(request)
    at_home = await own_permissions.at_home(signed_in.who)
    return Visit(request, console, signed_in, at_home, await console.sign_in.form_key.get())


def visitor(visit: NamedDependency[Visit]) -> Principal:
    """Hand the visitor to whatever asks who is calling, as `keyrack.api.app.principal` does for the API."""
    return visit.who
