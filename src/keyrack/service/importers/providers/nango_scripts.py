"""Says in a profile what scripts of Nango's do after connecting and before a connection is deleted.

An entry names its script; the code is that project's. What these ask the provider's API, keep of what it answers or of
the access token, and how they revoke, was read there and is written here as data. Others stay unexpressed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from keyrack.oauth.profiles.answer_parts import Answer
from keyrack.oauth.profiles.call_parts import Call, Taken
from keyrack.oauth.profiles.kinds import AuthMethod, BodyFormat, TokenTypeHint, TokenUse
from keyrack.oauth.profiles.request_parts import ClientAuthentication, Endpoints, RevocationRequest, Template
from keyrack.oauth.profiles.templates import alternatives


@dataclass(frozen=True, slots=True)
class Script:
    """What a script does once an account is connected.

    Attributes:
        asks: the address that is asked with the new token; None: nothing is asked.
        keeps: what is kept of its answer, the path of each by its name.
        learned: what is kept of the token response.
        claims: what is kept of the access token.
        calls: further calls; an address that begins with `/` is one of the API that the entry names.
        forgets: inputs that are not kept once there are tokens.
    """

    asks: str | None = None
    keeps: Mapping[str, str] = field(default_factory=dict)
    learned: tuple[str, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    forgets: tuple[str, ...] = ()

    def calls_at(self, base: Template | None) -> tuple[Call, ...] | None:
        """Return its calls with whole addresses; None if the entry does not name the API that one is for."""
        made = [(call, at_base(call.endpoint, base)) for call in self.calls]
        if any(endpoint is None for _, endpoint in made):
            return None
        return tuple(msgspec.structs.replace(call, endpoint=endpoint) for call, endpoint in made if endpoint)

    def said(self, endpoints: Endpoints, answer: Answer) -> tuple[Endpoints, Answer]:
        """Return endpoints and answer of a profile that says the same; its calls come beside."""
        learned = tuple(dict.fromkeys((*answer.learned, *self.learned)))
        answer = msgspec.structs.replace(
            answer, learned=learned, userinfo_learned=dict(self.keeps), token_claims=dict(self.claims)
        )
        return (msgspec.structs.replace(endpoints, userinfo=self.asks) if self.asks else endpoints), answer


@dataclass(frozen=True, slots=True)
class Ending:
    """How a script has tokens revoked.

    Attributes:
        endpoint: where; as of calls.
        request: how.
    """

    endpoint: Template
    request: RevocationRequest


def at_base(endpoint: Template, base: Template | None) -> Template | None:
    """Return an address that begins with `/` with what it belongs to before it; None if that is not known."""
    if not isinstance(endpoint, str) or not endpoint.startswith("/"):
        return endpoint
    if base is None:
        return None
    bases = [text.rstrip("/") for text in alternatives(base)]
    return f"{bases[0]}{endpoint}" if len(bases) == 1 else tuple(f"{each}{endpoint}" for each in bases)


def _atlassian() -> Script:
    """Return what is asked for of Atlassian's sites: the one that was named, else the first; then whose account."""
    of_site = {"cloudId": "id", "baseUrl": "url"}
    named: tuple[Mapping[str, str], ...] = ({"url": "*://{subdomain}.*"}, {"name": "*{subdomain}*"}, {})
    return Script(
        calls=(
            Call(endpoint="/oauth/token/accessible-resources", choose=named, learned=dict(of_site)),
            Call(endpoint="/ex/jira/{cloudId}/rest/api/3/myself", learned={"accountId": "accountId"}),
            Call(
                endpoint="/ex/confluence/{cloudId}/wiki/rest/api/user/current",
                learned={"accountId": "accountId"},
            ),
        )
    )


def _docusign(host: str) -> Script:
    account = {"baseUri": "base_uri", "accountId": "account_id"}
    call = Call(
        endpoint=f"https://{host}/oauth/userinfo", entries="accounts", choose=({"is_default": "true"},), learned=account
    )
    return Script(calls=(call,))


def _gusto(host: str) -> Script:
    company = ({"type": "Company"},)
    call = Call(
        endpoint=f"https://{host}/v1/token_info", entries="resource", choose=company, learned={"companyUuid": "uuid"}
    )
    return Script(calls=(call,))


def _in_json(endpoint: str, name: str, text: str, learned: Mapping[str, str | Taken]) -> Call:
    """Return a call that asks by one text in JSON, as GraphQL is asked."""
    return Call(endpoint=endpoint, method="POST", body=BodyFormat.JSON, parameters={name: text}, learned=dict(learned))


_CALENDAR = "https://www.googleapis.com/calendar/v3/users/me/calendarList/primary"
_BASECAMP = "https://launchpad.37signals.com/authorization.json"
_IN_PATH = r"([^/]+)$"
SCRIPTS: Mapping[object, Script] = {
    "adobeUmapiPostConnection": Script(),  # it repeats the client's id, which the auth client has
    "attioPostConnection": Script("https://api.attio.com/v2/self", {"workspace_id": "workspace_id"}),
    "basecampPostConnection": Script(
        calls=(
            Call(endpoint=_BASECAMP, learned={"accounts": "accounts"}),
            Call(endpoint=_BASECAMP, entries="accounts", only=True, learned={"accountId": "id"}),
        )
    ),
    "bullhornPostConnection": Script(forgets=("username", "password")),
    "calendlyPostConnection": Script(
        calls=(
            Call(
                endpoint="/users/me",
                learned={"organizationId": Taken(path="resource.current_organization", pattern=_IN_PATH)},
            ),
        )
    ),
    "checkrPartnerPostConnection": Script(
        calls=(
            Call(
                endpoint="/v1/nodes",
                body=BodyFormat.QUERY,
                parameters={"page": 1, "per_page": 1},
                token_as=TokenUse.BASIC,
                answered="accountHierarchyEnabled",
            ),
        )
    ),
    "candisPostConnection": Script("https://api.candis.io/v1/organizations/info", {"organizationId": "id"}),
    "googleCalendarPostConnection": Script(_CALENDAR, {"emailAddress": "id"}),
    "googleMailPostConnection": Script(
        "https://gmail.googleapis.com/gmail/v1/users/me/profile", {"emailAddress": "emailAddress"}
    ),
    "highlevelPostConnection": Script(learned=("companyId", "locationId")),
    "hubspotPostConnection": Script("https://api.hubapi.com/account-info/v3/details", {"portalId": "portalId"}),
    "jiraPostConnection": _atlassian(),
    "jobberPostConnection": Script(
        calls=(
            _in_json(
                "/graphql",
                "query",
                "query { account { id } }",
                {"accountId": Taken(path="data.account.id", pattern=r"/(\d+)$", in_base64=True)},
            ),
        )
    ),
    "linearPostConnection": Script(
        calls=(
            _in_json(
                "/graphql",
                "query",
                "query { organization { id } }",
                {"organizationId": "data.organization.id"},
            ),
        )
    ),
    "mailchimpPostConnection": Script("https://login.mailchimp.com/oauth2/metadata", {"dc": "dc"}),
    "microsoftTeamsPostConnection": Script(claims={"tenantId": "tid"}),
    "procorePostConnection": Script(
        calls=(Call(endpoint="/rest/v1.0/companies", choose=({},), learned={"companyId": "id"}),)
    ),
    "ripplingShopAppPostConnection": Script(calls=(Call(endpoint="/platform/api/mark_app_installed", method="POST"),)),
    "sage200PostConnection": Script(
        calls=(
            Call(
                endpoint="/accounts/v1/sites",
                learned={"company_id": "company_id", "site_id": "site_id"},
            ),
        )
    ),
    "salesforcePostConnection": Script(),
    "sellsyPostConnection": Script(claims={"corpid": "corpId"}),
    "snowflakePostConnection": Script(
        calls=(
            _in_json(
                "/api/v2/statements",
                "statement",
                "SELECT CURRENT_USER() AS username",
                {"username": "data.0.0"},
            ),
        )
    ),
    "sophosCentralPostConnection": Script(
        calls=(
            Call(
                endpoint="https://api.central.sophos.com/whoami/v1",
                learned={"tenantId": "id", "dataRegion": "apiHosts.dataRegion"},
            ),
        )
    ),
    "xeroPostConnection": Script(
        claims={"authentication_event_id": "authentication_event_id"},
        calls=(
            Call(
                endpoint="/connections",
                choose=({"authEventId": "{authentication_event_id}"}, {}),
                only=True,
                learned={"tenant_id": "tenantId"},
            ),
        ),
    ),
    "zohoPostConnection": Script(),  # it works out the data centre, which `accounts-server` and `api_domain` tell
    "zoomPostConnection": Script("https://api.zoom.us/v2/users/me", {"accountId": "account_id"}),
}
"""What is done after connecting, by the name of the script."""
OF_ENTRIES: Mapping[str, Script] = {
    "docusign": _docusign("account.docusign.com"),
    "docusign-sandbox": _docusign("account-d.docusign.com"),
    "gusto": _gusto("api.gusto.com"),
    "gusto-demo": _gusto("api.gusto-demo.com"),
}
"""What a script does that is for several entries and asks the host of each, by the name of the entry."""

_NOTHING = ClientAuthentication(method=AuthMethod.FIELDS)
_BEARER = RevocationRequest(
    body=BodyFormat.JSON,
    parameters={"token": None, "token_type_hint": None},
    headers={"Authorization": "Bearer {token}"},
    client_authentication=_NOTHING,
    tokens=(TokenTypeHint.ACCESS_TOKEN,),
)
ENDINGS: Mapping[object, Ending] = {
    "hubspotPreConnectionDeletion": Ending(
        "https://api.hubapi.com/oauth/v1/refresh-tokens/{token}",
        RevocationRequest(
            method="DELETE",
            parameters={"token": None, "token_type_hint": None},
            client_authentication=_NOTHING,
            tokens=(TokenTypeHint.REFRESH_TOKEN,),
        ),
    ),
    "intercomPreConnectionDeletion": Ending("https://api.intercom.io/auth/uninstall", _BEARER),
    "linearPreConnectionDeletion": Ending("/oauth/revoke", msgspec.structs.replace(_BEARER, body=BodyFormat.FORM)),
    "oneloginPreConnectionDeletion": Ending(
        "/auth/oauth2/revoke",
        RevocationRequest(
            body=BodyFormat.JSON,
            rename={"token": "access_token"},
            parameters={"token_type_hint": None},
            headers={"Authorization": "client_id:{client_id}, client_secret:{client_secret}"},
            client_authentication=_NOTHING,
            tokens=(TokenTypeHint.ACCESS_TOKEN,),
        ),
    ),
}
"""How tokens are revoked, by the name of the script."""
