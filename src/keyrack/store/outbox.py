"""Events: written in the transaction of what they tell, so that neither happens without the other."""

from keyrack.ids import new_id
from keyrack.model import EventType, Json
from keyrack.store.schema import events
from keyrack.store.unit import TenantTable


class Outbox(TenantTable):
    """The events of the unit's tenant."""

    table = events

    async def add(self, kind: EventType, data: Json) -> None:
        """Tell that something happened.

        Args:
            kind: what.
            data: ids and facts for the receiver; never a secret.
        """
        await self.insert({"id": new_id(), "type": kind.value, "data": data, "created_at": self.unit.clock()})
