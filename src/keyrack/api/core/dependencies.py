"""Dependencies that handlers ask for by a parameter's type: the use cases and the caller."""

from typing import TypeVar

from litestar.di import NamedDependency
from litestar.params import JSONBody

from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.jsonapi import Page
from keyrack.model.identity import Principal

T = TypeVar("T")

Body = JSONBody[UnvalidatedBody[T]]
"""The request's JSON body, parsed but not yet checked against `T`."""

Who = NamedDependency[Principal]
"""The caller."""

WantedPage = NamedDependency[Page]
"""The part of a list that is asked for; everything unless paging parameters are given."""
