"""Says in a profile what scripts of Nango's do after connecting, where that is one question or none.

An entry names its script; the code is that project's. These ask the provider's API once and keep a member of what it
answers, keep members of the token response, or do nothing. Others stay unexpressed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from keyrack.oauth.profiles.answer_parts import Answer
from keyrack.oauth.profiles.request_parts import Endpoints


@dataclass(frozen=True, slots=True)
class Script:
    """What a script does.

    Attributes:
        asks: the address that is asked with the new token; None: nothing is asked.
        keeps: what is kept of its answer, the path of each by its name.
        learned: what is kept of the token response.
    """

    asks: str | None = None
    keeps: Mapping[str, str] = field(default_factory=dict)
    learned: tuple[str, ...] = ()

    def said(self, endpoints: Endpoints, answer: Answer) -> tuple[Endpoints, Answer]:
        """Return endpoints and answer of a profile that says the same."""
        learned = tuple(dict.fromkeys((*answer.learned, *self.learned)))
        answer = msgspec.structs.replace(answer, learned=learned, userinfo_learned=dict(self.keeps))
        return (msgspec.structs.replace(endpoints, userinfo=self.asks) if self.asks else endpoints), answer


_CALENDAR = "https://www.googleapis.com/calendar/v3/users/me/calendarList/primary"
SCRIPTS: Mapping[object, Script] = {
    "attioPostConnection": Script("https://api.attio.com/v2/self", {"workspace_id": "workspace_id"}),
    "candisPostConnection": Script("https://api.candis.io/v1/organizations/info", {"organizationId": "id"}),
    "googleCalendarPostConnection": Script(_CALENDAR, {"emailAddress": "id"}),
    "googleMailPostConnection": Script(
        "https://gmail.googleapis.com/gmail/v1/users/me/profile", {"emailAddress": "emailAddress"}
    ),
    "highlevelPostConnection": Script(learned=("companyId", "locationId")),
    "hubspotPostConnection": Script("https://api.hubapi.com/account-info/v3/details", {"portalId": "portalId"}),
    "mailchimpPostConnection": Script("https://login.mailchimp.com/oauth2/metadata", {"dc": "dc"}),
    "salesforcePostConnection": Script(),
    "zohoPostConnection": Script(),  # it works out the data centre, which `accounts-server` and `api_domain` tell
    "zoomPostConnection": Script("https://api.zoom.us/v2/users/me", {"accountId": "account_id"}),
}
"""By name."""
