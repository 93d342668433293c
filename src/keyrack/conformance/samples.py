"""Fills in a profile's inputs with values that its patterns allow, and makes up what its provider tells."""

import re
from collections.abc import Iterator, Mapping

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.profiles.templates import placeholders as placeholders_of
from keyrack.service.clients.profile_rules import wrong_inputs
from keyrack.simulator.twin.templates import variants

_CANDIDATES = (
    "acme",
    "acme-1",
    "acme1",
    "eu1",
    "us-1",
    "ACME",
    "1234567",
    "1234567890",
    "acme.example.com",
    "https://acme.example.com",
    "acme.example.com/path",
    "alice@acme.example",
    "6f9619ff-8b86-4d11-b42d-00c04fc964ff",
    "0123456789abcdef0123456789abcdef",
    "a",
    "T012AB3C4",
    "2024-01",
    "v1",
)
_NEEDED = Input()
_ORIGIN = "https://{}.example.com"


def filled_in(profile: ProviderProfile, private_key: str = "") -> dict[str, str]:
    """Return a value for each input that somebody fills in: its example, what is usual, or a text of its form.

    Args:
        profile: whose inputs; those that the provider is asked for, and need not be filled in, are not.
        private_key: in PEM, for the input that is the key of assertions.

    Raises:
        ValidationFailed: there is an input that nothing is known for; it needs an `example`.
    """
    found: dict[str, str] = {}
    told_later = {name for call in profile.after_connecting for name in call.tells}
    asked = {name for name in told_later if not profile.inputs.get(name, _NEEDED).required}
    for name, said in profile.inputs.items():
        if said.learned or name in asked:
            continue
        if name in placeholders_of(profile.assertion.key or ()):
            found[name] = private_key
            continue
        value = next(
            (each for each in _values(profile, name, said) if not wrong_inputs({name: said}, {name: each}, "")), None
        )
        if value is None:
            detail = "no value of this form is known to fill in; give the input an example"
            raise ValidationFailed(Problem(detail, f"/inputs/{name}/example"))
        found[name] = value
    return found


def told(profile: ProviderProfile, filled: Mapping[str, str]) -> dict[str, str]:
    """Return what the provider tells besides tokens, by the name under which the profile knows it.

    Args:
        profile: of the provider.
        filled: what was filled in; a provider tells the same where it tells that too.
    """
    found: dict[str, str] = {}
    for number, name in enumerate(profile.learned):
        said = profile.inputs.get(name, Input())
        usual = _ORIGIN.format(f"told-{number}") if _begins_address(profile, name) else f"told-{number}"
        found[name] = filled.get(name) or (said.enum[-1] if said.enum else usual)
    return found


def _values(profile: ProviderProfile, name: str, said: Input) -> Iterator[str]:
    if _begins_address(profile, name):
        yield _ORIGIN.format("acme")
    yield from (each for each in (said.example, said.default, *(said.enum or ())) if each)
    yield from _CANDIDATES


def _begins_address(profile: ProviderProfile, name: str) -> bool:
    begins = re.compile(r"\{" + re.escape(name) + r"\}(?!\.)")
    addresses = (getattr(profile.endpoints, each) for each in profile.endpoints.__struct_fields__)
    return any(begins.match(text) for each in addresses if each is not None for text in variants(each))
