"""The nouns of Keyrack as plain frozen values, shared by every level."""

from typing import Any

Json = dict[str, Any]
