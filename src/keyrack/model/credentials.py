"""Credentials of the first generation."""

from dataclasses import dataclass, field

from keyrack.model import Json
from keyrack.model.secrets import NO_ACCOUNT, ProviderAccount


@dataclass(frozen=True, slots=True)
class Credential:
    """First-generation credentials: the values of a component's credential fields (contract section 16)."""

    id: str
    tenant_id: str
    workspace_id: str
    component_id: str
    user_id: str
    name: str
    keys: Json = field(repr=False)
    damaged: bool = False
    """What is stored encrypted cannot be opened; in a list only, where it is left out."""
    account: ProviderAccount = NO_ACCOUNT
    left_out: int = 0
