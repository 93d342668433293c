"""Members that records of many kinds have: identifiers, relationships, times."""

from msgspec import UNSET, Struct, UnsetType

from keyrack.validation.fields import Id, Revision, Time


class Ref(Struct, frozen=True):
    """A resource identifier."""

    id: Id


class Link(Struct, frozen=True):
    """Linkage to one resource."""

    data: Ref


class Links(Struct, frozen=True):
    """Linkage to several."""

    data: list[Ref]

    @property
    def ids(self) -> list[str]:
        """The ids."""
        return [ref.id for ref in self.data]


class RevisionRef(Struct, frozen=True):
    """A resource identifier of a version."""

    id: Revision


class RevisionLink(Struct, frozen=True):
    """Linkage to a version."""

    data: RevisionRef


class Stamps(Struct, frozen=True, kw_only=True):
    """When something was made and changed."""

    created_at: Time | UnsetType = UNSET
    updated_at: Time | UnsetType = UNSET
    last_used_at: Time | UnsetType = UNSET
