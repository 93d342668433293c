"""All public methods of `keyrack.store`, found by looking, and arguments for them, found by name and type."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

import keyrack.store
from keyrack.store.core.unit import TenantTable, Unit

_NO_CODE = (".migrations", ".schema")


@dataclass(frozen=True)
class Method:
    """A method of a class that is made from a unit, or a function that takes one.

    Attributes:
        name: `Class.method`, or `module.function`.
        owner: the class; None for a function.
        function: what to call.
    """

    name: str
    owner: Any
    function: Callable[..., Any]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Types of the parameters by name, without `self` and the unit."""
        hints = get_type_hints(self.function)
        names = inspect.signature(self.function).parameters
        return {name: hints.get(name) for name in names if name != "self" and hints.get(name) is not Unit}

    async def call(self, unit: Unit, arguments: Mapping[str, Any]) -> Any:
        """Call it in a unit."""
        kinds = inspect.signature(self.function).parameters
        given = dict(arguments)
        for name, parameter in kinds.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                given |= given.pop(name)
        made = self.function(unit if self.owner is None else self.owner(unit), **given)
        return await made if inspect.isawaitable(made) else made


def modules() -> Iterator[Any]:
    """All modules of the store that have code."""
    for found in pkgutil.walk_packages(keyrack.store.__path__, "keyrack.store."):
        if not any(part in found.name for part in _NO_CODE):
            yield importlib.import_module(found.name)


def methods() -> list[Method]:
    """All public methods and functions of the store."""
    found = []
    for module in modules():
        short = module.__name__.rpartition(".")[2]
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(thing):
                found += [
                    Method(f"{name}.{each}", thing, function)
                    for each, function in vars(thing).items()
                    if not each.startswith("_") and inspect.isfunction(function)
                ]
            elif inspect.isfunction(thing):
                found.append(Method(f"{short}.{name}", None, thing))
    return found


def takes_a_unit(method: Method) -> bool:
    """Tell whether it works in a unit, and so could reach whatever the database has."""
    if method.owner is TenantTable:  # what the others are made of
        return False
    made = method.function if method.owner is None else method.owner.__init__
    return Unit in _hints(made).values()


def _hints(function: Any) -> Mapping[str, Any]:
    return get_type_hints(function) if inspect.isfunction(function) else {}
