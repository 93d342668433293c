"""The route index of contract section 23: every route and method of it, and no others but marked extensions."""

import re

import httpx2
import pytest

from support.app import World

INDEX = """
/v2/permissions                                   GET
/v2/tenants                                       GET POST
/v2/tenants/{T}                                   GET PATCH DELETE
/v2/tenants/{T}/connect-theme                     GET PATCH
/v2/tenants/{T}/roles                             GET PATCH
/v2/tenants/{T}/members/{U}                       PATCH
/v2/tenants/{T}/oauth-clients                     GET POST
/v2/tenants/{T}/oauth-clients/{ID}                GET PATCH DELETE
/v2/contracts                                     GET POST
/v2/contracts/{K}                                 GET PATCH DELETE
/v2/contracts/{K}/roles                           GET
/v2/contracts/{K}/members                         GET POST
/v2/contracts/{K}/members/{U}                     PATCH DELETE
/v2/contracts/{K}/invites                         GET POST
/v2/contracts/{K}/invites/{I}                     PATCH DELETE
/v2/contracts/{K}/suspend                         POST
/v2/contracts/{K}/unsuspend                       POST
/v2/workspaces                                    GET POST
/v2/workspaces/{W}                                GET PATCH DELETE
/v2/workspaces/{W}/members                        GET POST
/v2/workspaces/{W}/members/{U}                    PATCH DELETE
/v2/workspaces/{W}/secrets                        GET POST
/v2/workspaces/{W}/secrets/{S}                    GET PATCH DELETE
/v2/workspaces/{W}/secrets/{S}/refresh            POST
/v2/users                                         GET POST
/v2/users/me                                      GET
/v2/users/{U}                                     GET DELETE
/v2/teams                                         GET POST
/v2/teams/{ID}                                    GET PATCH DELETE
/v2/teams/{ID}/relationships/members              POST DELETE
/v2/components                                    GET POST
/v2/components/all                                GET
/v2/components/{C}                                GET PATCH DELETE
/v2/components/{C}/versions                       GET POST
/v2/components/{C}/versions/{REV}                 DELETE
/v2/components/{C}/versions/{REV}/descriptor      GET
/v2/components/{C}/env                            GET PUT
/v2/workspace/{W}/components                      GET
/v2/workspace/{W}/components/{C}                  GET
/v2/auth-clients                                  GET POST
/v2/auth-clients/{ID}                             GET PATCH DELETE
/v2/credentials                                   GET POST
/v2/credentials/{ID}                              GET PATCH DELETE
/v2/flows                                         GET POST
/v2/flows/{F}                                     GET PATCH DELETE
/v2/flows/{F}/start                               POST
/v2/flows/{F}/stop                                POST
/v2/flows/{F}/draft                               GET PUT DELETE
/v2/flows/{F}/versions                            GET
/v2/flows/{F}/versions/{HASH}                     GET
/v1/tasks/{F}/steps/{STEP}                        GET
/v1/accounts/{ID}                                 PUT
/callback/oauth2                                  GET
/callback/oauth1                                  GET
/v2/workspaces/{W}/oauth-consents                 POST
/v2/workspaces/{W}/oauth-consents/{ID}            GET
"""

EXTENSIONS = """
/v2/users/me/api-keys                             GET POST
/v2/users/me/api-keys/{ID}                        DELETE
/v2/users/me/invites                              GET
/v2/users/me/invites/{ID}/accept                  POST
/v2/users/{U}/setup-links                         POST
/v2/tenants/{T}/oauth-clients/{ID}/usage          GET
/v2/auth-clients/{ID}/usage                       GET
/v2/auth-clients/{ID}/diagnose                    POST
/v2/tenants/{T}/oauth-clients/{ID}/diagnose       POST
/v2/tenants/{T}/deleted-clients                   GET
/v2/tenants/{T}/deleted-clients/{ID}              DELETE
/v2/tenants/{T}/deleted-clients/{ID}/restore      POST
/v2/auth-clients/{ID}/secret-rotation             GET POST PATCH DELETE
/v2/tenants/{T}/oauth-clients/{ID}/secret-rotation  GET POST PATCH DELETE
/v2/tenants/{T}/auth-clients                      GET POST
/v2/tenants/{T}/auth-clients/{ID}                 GET PATCH DELETE
/v2/tenants/{T}/audit-events                      GET
/v2/tenants/{T}/idle-grants                       GET
/v2/tenants/{T}/ending-grants                     GET
/v2/providers                                     GET
/v2/providers/{P}                                 GET
/v2/service-accounts                              GET
/v2/service-accounts/{ID}                         GET PATCH DELETE
/v2/workspaces/{W}/components                     GET
/v2/workspaces/{W}/components/{C}                 GET
/v2/workspaces/{W}/components/{C}/runtime-env     GET
/v2/flows/{F}/task-keys                           POST
/v2/workspaces/{W}/secrets/{S}/dpop-proof         POST
/v2/workspaces/{W}/mcp-servers                    POST
/v2/workspaces/{W}/connect-links                  POST
/v2/workspaces/{W}/connect-links/{ID}             GET
/v2/tenants/{T}/webhooks                          GET POST
/v2/tenants/{T}/webhooks/{ID}                     GET PATCH DELETE
/v2/tenants/{T}/webhooks/{ID}/rotate-secret       POST
/v2/tenants/{T}/webhooks/{ID}/deliveries          GET
/v2/tenants/{T}/webhooks/{ID}/replay              POST
/v2/tenants/{T}/webhooks/{ID}/test                POST
/v2/tenants/{T}/events                            GET
/v2/tenants/{T}/events/{ID}/replay                POST
"""
"""Sections 0.2, 0.3, 0.6, 0.15, 0.16, 14.3 (legacy aliases), 1 (the plural of `/v2/workspace`); decisions 24 to 47."""

NOT_BUILT = [  # section 0.5
    ("POST", "/v2/components/{C}/versions/{REV}/verify-credential"),
    ("POST", "/v2/components/{C}/docker-pull/{REV}"),
    ("GET", "/v2/exec/poll/{ID}"),
    ("GET", "/v2/exec/result/{ID}"),
]
UNKNOWN = [
    "/v2/workspace",
    "/v2/workspace/{W}",
    "/v2/workspace/{W}/secrets",
    "/v2",
    "/v2/",
    "/v2/nothing",
    "/v2/tenants/{T}/nothing",
    "/v2/flows/{F}/start/again",
    "/v1",
    "/v1/accounts",
]
OF_THE_INSTALLATION = {"/v2/service-accounts"}
"""Lists that no tenant's admin may read."""
SOME_ID = "5f0000000000000000000000"


def routes(text: str) -> dict[str, set[str]]:
    """Return the methods of each path, with all parameters alike."""
    lines = [line.split() for line in text.strip().splitlines()]
    return {re.sub(r"{\w+}", SOME_ID, path): set(methods) for path, *methods in lines}


LISTED = routes(INDEX) | routes(EXTENSIONS)


WITHOUT_BODY = (
    "suspend", "unsuspend", "start", "stop", "task-keys", f"events/{SOME_ID}/replay", "rotate-secret", "test", "accept",
    "refresh", "setup-links", "/diagnose", "/restore")  # fmt: skip
"""How the paths end that take a POST without a body."""
LACKING = {"/callback/oauth1", "/callback/oauth2", "/v2/components", "/v2/credentials", "/v2/flows", "/v2/teams"}
"""What cannot be read without parameters."""


def status_of(method: str, path: str) -> int:
    """Return what a tenant admin gets who sends nothing but method and path: what is missing is told first (3)."""
    takes_body = method in {"PATCH", "PUT"} or (method == "POST" and not path.endswith(WITHOUT_BODY))
    if takes_body or path.endswith("/relationships/members") or (method == "GET" and path in LACKING):
        return 400
    if path in OF_THE_INSTALLATION:
        return 403
    return 404 if SOME_ID in path else 200  # of what the made-up id names, not of the route


def allowed(answer: httpx2.Response) -> set[str]:
    return {method.strip() for method in answer.headers["allow"].split(",")}


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("path", LISTED)
async def test_a_path_has_the_methods_of_the_index_and_no_others(keyrack_to_read: World, path: str, end: str) -> None:
    answer = await keyrack_to_read.tenants["Acme"].admin.call("BREW", path + end)
    assert answer.status_code == 405, answer.text
    assert allowed(answer) - {"OPTIONS", "HEAD"} == LISTED[path]


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for path, methods in LISTED.items() for method in sorted(methods)]
)
async def test_a_listed_method_is_taken(keyrack_to_read: World, method: str, path: str, end: str) -> None:
    answer = await keyrack_to_read.tenants["Acme"].admin.call(method, path + end)
    assert answer.status_code == status_of(method, path), answer.text


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(("method", "path"), [*NOT_BUILT, *(("GET", path) for path in UNKNOWN)])
async def test_everything_else_is_unknown(keyrack_to_read: World, method: str, path: str, end: str) -> None:
    answer = await keyrack_to_read.tenants["Acme"].admin.call(method, re.sub(r"{\w+}", SOME_ID, path) + end)
    assert answer.status_code == 404, answer.text
    assert [error["code"] for error in answer.json()["errors"]] == ["not_found"]


async def test_nothing_is_served_below_v1_and_v2_that_is_not_listed(keyrack_to_read: World) -> None:
    document = (await keyrack_to_read.http.get("/openapi.json")).json()
    served = {re.sub(r"{\w+}", SOME_ID, path) for path in document["paths"] if re.match(r"/v[12]/", path)}
    assert served - set(LISTED) == set()
