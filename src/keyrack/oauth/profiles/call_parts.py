"""What a provider profile says of calls that are made once an account is connected: what they ask, and what is kept."""

from collections.abc import Mapping

from msgspec import field

from keyrack.oauth.profiles.kinds import BodyFormat, TokenUse
from keyrack.oauth.profiles.request_parts import Part, Sent, Template


class Taken(Part, frozen=True):
    """Something in an answer that is not kept as it is.

    Attributes:
        path: where it is; empty: the whole.
        pattern: regular expression that is looked for in it; what its group matches is kept, or else all that it does.
        in_base64: whether the pattern is for what the text is the Base64 of (RFC 4648 section 4); so is what is kept.
    """

    path: str = ""
    pattern: str | None = None
    in_base64: bool = False


class Call(Part, frozen=True):
    """A call with the new access token, once an account is connected; the connection does not fail with it.

    It is left out where a placeholder of its address has no value, and where all that it would tell is known already:
    since somebody filled it in, or an earlier call told it.

    Attributes:
        endpoint: where it goes.
        method: of HTTP: `GET`, `POST` or `PUT`.
        body: how its parameters are written.
        parameters: what is asked.
        headers: further ones.
        token_as: how the access token goes along.
        entries: path of the list in the answer from which one entry is chosen; empty: the answer itself, or of a list
            its entries.
        choose: conditions on entries, tried in this order: what is to be at which path, with `*` for anything, whatever
            its case. The first entry that meets all of one counts. One without conditions is met by each entry; one
            whose placeholders have no value is passed over. None at all: the first entry.
        only: whether an entry without conditions counts only if there is no other.
        learned: what of the entry is kept with the connection, by its name; a list or an object as JSON. It can be a
            placeholder.
        answered: name under which it is kept whether the call was a success, `true` or `false`.
    """

    endpoint: Template
    method: str = "GET"
    body: BodyFormat = BodyFormat.FORM
    parameters: Mapping[str, Sent] = field(default_factory=dict)
    headers: Mapping[str, Template] = field(default_factory=dict)
    token_as: TokenUse = TokenUse.BEARER
    entries: str = ""
    choose: tuple[Mapping[str, Template], ...] = ()
    only: bool = False
    learned: Mapping[str, str | Taken] = field(default_factory=dict)
    answered: str | None = None

    @property
    def tells(self) -> tuple[str, ...]:
        """Names of all that is kept."""
        return (*self.learned, *(() if self.answered is None else (self.answered,)))
