"""Decides which inputs of a converted entry are the client's: whoever connects must not choose who is told its secret.

Other catalogues let each connection fill in whole hosts. Here what would choose a host, and has no end that the
provider owns (decision 38), is filled in once by whoever makes the client; what a provider tells of itself has to be
one of the addresses that the entry names.
"""

from collections.abc import Iterator, Mapping
from itertools import product

import msgspec

from keyrack.oauth.profiles.addresses import Place, has_fixed_end, places
from keyrack.oauth.profiles.model import Input
from keyrack.oauth.profiles.request_parts import Endpoints
from keyrack.oauth.profiles.templates import alternatives, placeholders

_MOST_VALUES = 50


def bounded_inputs(endpoints: Endpoints, inputs: Mapping[str, Input], learned: set[str]) -> dict[str, Input]:
    """Return the inputs of an entry, with what would choose a host made the client's, or bound to what the entry names.

    Args:
        endpoints: of the entry.
        inputs: all of them.
        learned: names of what the provider tells.

    Returns:
        All inputs. What is told and cannot be bound stays as it is, and the profile is refused.
    """
    found = dict(inputs)
    for name in dict.fromkeys(_choosing(endpoints, inputs)):
        said = found.get(name, Input())
        if said.enum is not None:
            continue
        if name not in learned:
            found[name] = msgspec.structs.replace(said, per_client=True, learned=False)
        elif values := _named_elsewhere(endpoints, name, found):
            found[name] = msgspec.structs.replace(
                said, enum=values, pattern=None, learned=True, required=False, hidden=True
            )
    return found


def _choosing(endpoints: Endpoints, inputs: Mapping[str, Input]) -> Iterator[str]:
    """Yield the placeholders that choose a host by themselves, or more than one name of it."""
    for text in _texts(endpoints):
        for name, place, behind in places(text):
            several = "." in (inputs[name].example or "") if name in inputs else False
            if place is Place.START or (place is Place.HOST and (several or not has_fixed_end(behind))):
                yield name


def _named_elsewhere(endpoints: Endpoints, name: str, inputs: Mapping[str, Input]) -> tuple[str, ...]:
    """Return the origins that the other alternatives of an address come to, which the provider may tell."""
    found: list[str] = []
    for text in _texts(endpoints):
        origin = "/".join(text.split("/")[:3])
        named = list(placeholders(origin))
        choices = [inputs[each].enum if each in inputs else None for each in named]
        if name in named or not origin.startswith("https://") or not all(choices):
            continue
        for values in product(*(each for each in choices if each is not None)):
            filled = origin
            for each, value in zip(named, values, strict=True):
                filled = filled.replace("{" + each + "}", value)
            found.append(filled)
    return tuple(dict.fromkeys(found))[:_MOST_VALUES]


def _texts(endpoints: Endpoints) -> Iterator[str]:
    for name in endpoints.__struct_fields__:
        template = getattr(endpoints, name)
        yield from () if template is None else alternatives(template)
