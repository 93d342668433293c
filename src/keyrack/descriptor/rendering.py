"""Renders the members of an `oauth2` block and gathers every problem on the way (contract section 19.4)."""

from collections.abc import Callable
from functools import partial

from keyrack.descriptor.context import Context
from keyrack.descriptor.link import linked_names, secret_names
from keyrack.descriptor.model import Descriptor, OAuth2Block
from keyrack.descriptor.template import placeholders, render, unresolved
from keyrack.descriptor.text import scalar_text
from keyrack.descriptor.uri import render_uri
from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.pointer import join

_MAX_NAME = 100


class Rendering:
    """Renders members one by one; a member with a problem becomes empty, and `finish` reports.

    Args:
        descriptor: the component's.
        context: the variables.
        prefix: where the credential fields stand in the request.
    """

    def __init__(self, descriptor: Descriptor, context: Context, prefix: str) -> None:
        self._context = context
        self._pointers = {name: join(prefix, name) for name in descriptor.fields}
        self._secrets = secret_names(descriptor)
        self._linked = set(linked_names(descriptor)) if descriptor.use_oauth_client else set()
        self._required = {name for name, declared in descriptor.env_vars.items() if declared.required}
        self._problems: dict[Problem, None] = {}

    def note(self, problem: Problem) -> None:
        """Note a problem; the same one counts once."""
        self._problems[problem] = None

    def finish(self) -> None:
        """Raise `ValidationFailed` with everything noted, if there is anything."""
        if self._problems:
            raise ValidationFailed(*self._problems)

    def attempt(self, make: Callable[[], str]) -> str:
        """Return what `make` returns, or note its problems and return an empty text."""
        try:
            return make()
        except ValidationFailed as failed:
            for problem in failed.problems:
                self.note(problem)
            return ""

    def uri(self, member: str, template: str | None, *, in_browser: bool = False) -> str:
        """Return a URI; one that a browser sees must not carry the client's secret."""
        if not template:
            self.note(Problem(f"the component's descriptor has no {member}"))
            return ""
        if in_browser and not self._may_be_seen(member, template):
            return ""
        return self.attempt(partial(render_uri, template, self._context, self._pointers.get, self._absent))

    def needed(self, member: str, template: str | None) -> str:
        """Return a text none of whose variables may be empty (contract section 19.4)."""
        if not template:
            self.note(Problem(f"the component's descriptor has no {member}"))
            return ""
        for name in unresolved(template, self._context):
            detail = f"variable {name[:_MAX_NAME]} of {member} {self._absent(name)}"
            self.note(Problem(detail, self._pointers.get(name)))
        return render(template, self._context)

    def scope(self, block: OAuth2Block) -> str:
        """Return the scopes: an array joined with one space, a text verbatim (contract section 19.2)."""
        if isinstance(block.scopes, str):
            return self._seen("scopes", block.scopes)
        return " ".join(filter(None, (self._seen("scopes", item) for item in block.scopes or ())))

    def extras(self, block: OAuth2Block) -> dict[str, str]:
        """Return the further parameters of the authorization request as text."""
        return {name: self._seen(name, scalar_text(value) or "") for name, value in block.extra.items()}

    def _seen(self, member: str, template: str) -> str:
        if not self._may_be_seen(member, template):
            return ""
        for name in unresolved(template, self._context):
            if name in self._required:  # any other becomes empty; a required one fails the consent (contract 0.8)
                self.note(Problem(f"variable {name[:_MAX_NAME]} of {member[:_MAX_NAME]} {self._absent(name)}"))
        return render(template, self._context)

    def _absent(self, name: str) -> str:
        """Return what to say of a variable without a value: who can give it one."""
        if name in self._pointers:
            return "has no value"
        cure = "its developer sets it with PUT /v2/components/{C}/env"
        if name in self._linked:
            cure = f"a tenant admin creates an OAuth client for the component, or {cure}"
        return f"has no value; {cure}"

    def _may_be_seen(self, member: str, template: str) -> bool:
        named = self._secrets.intersection(placeholders(template))
        if named:
            self.note(
                Problem(f"the descriptor puts the client secret, {min(named)[:_MAX_NAME]}, into {member[:_MAX_NAME]}"),
            )
        return not named
