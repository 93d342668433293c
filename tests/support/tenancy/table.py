"""What every caller gets from every route: the one table, derived from contract sections 2, 3, 5, 6, 8 to 18 and 20.

All resources in the path and the body are one tenant's. The callers, and so the columns, are:

    T  its tenant admin, who is in no contract        s  a running step of the workspace (task user)
    D  owner and admin of the contract, of the team   n  a running step of the other contract
    O  owner of the workspace, member of the contract B  another tenant's admin, with every role there
    I  integrator of the workspace                    b  a running step of another tenant
    G  guest of the workspace                         V  a service account with every permission
    S  a user in no contract                          v  a service account without any
    N  admin of another contract of the tenant

What they get: `y` the status in the row; `3` 403, `4` 404 (section 3: a tenant, contract or workspace that is named and
exists gives 403; what is not seen, or is addressed without a parent, is not there). Whoever has no good key gets 401
everywhere. An id that does not exist gives 404 to everybody; where the cell is `4`, nothing tells the two cases apart.

The names in braces are members of `Estate.ids`; `PARAMETERS` says which parameter of the route they stand for, if it
has another name. A route has another row where what it is asked for matters. A new route needs a row here, and a body
in `support.tenancy.bodies` if it takes one.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

COLUMNS = "TDOIGSN sn Bb Vv"
CALLERS = COLUMNS.replace(" ", "")
OF_ANOTHER_TENANT = "Bb"
PARAMETERS = {
    "lone_auth_client_id": "auth_client_id",  # what is not in use can be deleted
    "lone_credential_id": "credential_id",
    "lone_oauth_client_id": "oauth_client_id",
    "lone_secret_id": "secret_id",
    "lone_team_id": "team_id",
    "newcomer_id": "user_id",
    "stranger_id": "user_id",
    "tenant_auth_client_id": "auth_client_id",
    "unused_id": "component_id",
    "unused_revision": "revision",
}

# fmt: off
ROUTES: list[tuple[str, str, str, int, str]] = [
    # section, method, path with query                                                       status TDOIGSN sn Bb Vv
    ("18.3", "PUT",    "/v1/accounts/{credential_id}",                                       200, "44yy344 y4 44 y4"),
    ("18.3", "GET",    "/v1/tasks/{flow_id}/steps/{step_id}",                                200, "44yy344 y4 44 y4"),
    ("14.1", "GET",    "/v2/auth-clients?workspace_id={workspace_id}",                       200, "yyyyy33 y3 33 y3"),
    ("14.1", "POST",   "/v2/auth-clients",                                                   201, "yyyy333 33 33 y3"),
    ("0.10", "GET",    "/v2/auth-clients/{auth_client_id}",                                  200, "yyyyy44 y4 44 y4"),
    ("0.15", "GET",    "/v2/auth-clients/{auth_client_id}/usage",                            200, "yyyyy44 34 44 y4"),
    ("0.6",  "POST",   "/v2/auth-clients/{auth_client_id}/diagnose",                         200, "yyyyy44 34 44 y4"),
    ("0.6",  "POST",   "/v2/auth-clients/{auth_client_id}/secret-rotation",                  201, "yyyy344 34 44 y4"),
    ("0.6",  "GET",    "/v2/auth-clients/{lone_auth_client_id}/secret-rotation",             200, "yyyyy44 y4 44 y4"),
    ("0.6",  "PATCH",  "/v2/auth-clients/{lone_auth_client_id}/secret-rotation",             200, "yyyy344 34 44 y4"),
    ("0.6",  "DELETE", "/v2/auth-clients/{lone_auth_client_id}/secret-rotation",             204, "yyyy344 34 44 y4"),
    ("14.1", "PATCH",  "/v2/auth-clients/{auth_client_id}",                                  200, "yyyy344 34 44 y4"),
    ("14.1", "DELETE", "/v2/auth-clients/{lone_auth_client_id}",                             204, "yyyy344 34 44 y4"),
    ("13.2", "GET",    "/v2/components?contract_id={contract_id}",                           200, "yyyyy33 33 33 y3"),
    ("13.2", "POST",   "/v2/components",                                                     201, "3y33344 44 44 y4"),
    ("13.2", "GET",    "/v2/components/all?contract_id={contract_id}",                       200, "y333333 33 33 y3"),
    ("13.2", "GET",    "/v2/components/{component_id}",                                      200, "yyyyy4y y4 44 y4"),
    ("13.2", "PATCH",  "/v2/components/{component_id}",                                      200, "y333343 34 44 y4"),
    ("13.2", "DELETE", "/v2/components/{unused_id}",                                         204, "yy33343 44 44 y4"),
    ("13.4", "GET",    "/v2/components/{component_id}/env",                                  200, "yy33343 34 44 y4"),
    ("13.4", "PUT",    "/v2/components/{component_id}/env",                                  200, "yy33343 34 44 y4"),
    ("13.2", "GET",    "/v2/components/{component_id}/versions",                             200, "yyyyy4y 34 44 y4"),
    ("0.3",  "POST",   "/v2/components/{component_id}/versions",                             201, "3y33343 34 44 y4"),
    ("13.2", "DELETE", "/v2/components/{unused_id}/versions/{unused_revision}",              204, "yy33343 44 44 y4"),
    ("13.2", "GET",    "/v2/components/{component_id}/versions/{revision}/descriptor",       200, "yyyyy4y 34 44 y4"),
    ("9",    "GET",    "/v2/contracts",                                                      200, "yyyyyyy 33 y3 y3"),
    ("9",    "POST",   "/v2/contracts",                                                      201, "y333333 33 y3 33"),
    ("10",   "GET",    "/v2/contracts/{contract_id}",                                        200, "yyyyy33 y3 33 y3"),
    ("9",    "PATCH",  "/v2/contracts/{contract_id}",                                        200, "yy33333 33 33 y3"),
    ("9",    "DELETE", "/v2/contracts/{contract_id}",                                        204, "y333333 33 33 y3"),
    ("9",    "GET",    "/v2/contracts/{contract_id}/invites",                                200, "yyyyy33 33 33 y3"),
    ("9",    "POST",   "/v2/contracts/{contract_id}/invites",                                200, "yy33333 33 33 y3"),
    ("9",    "PATCH",  "/v2/contracts/{contract_id}/invites/{invite_id}",                    200, "yy33333 33 33 y3"),
    ("9",    "DELETE", "/v2/contracts/{contract_id}/invites/{invite_id}",                    204, "yy33333 33 33 y3"),
    ("9",    "GET",    "/v2/contracts/{contract_id}/members",                                200, "yyyyy33 33 33 y3"),
    ("9",    "POST",   "/v2/contracts/{contract_id}/members",                                200, "y333333 33 33 y3"),
    ("9",    "PATCH",  "/v2/contracts/{contract_id}/members/{user_id}",                      200, "yy33333 33 33 y3"),
    ("9",    "DELETE", "/v2/contracts/{contract_id}/members/{user_id}",                      204, "yy33333 33 33 y3"),
    ("6.4",  "GET",    "/v2/contracts/{contract_id}/roles",                                  200, "yyyyy33 33 33 y3"),
    ("9",    "POST",   "/v2/contracts/{contract_id}/suspend",                                202, "y333333 33 33 y3"),
    ("9",    "POST",   "/v2/contracts/{contract_id}/unsuspend",                              204, "y333333 33 33 y3"),
    ("16",   "GET",    "/v2/credentials?workspace_id={workspace_id}",                        200, "33yyy33 y3 33 y3"),
    ("16",   "POST",   "/v2/credentials",                                                    201, "33yy333 33 33 33"),
    ("16",   "GET",    "/v2/credentials/{credential_id}",                                    200, "44yyy44 y4 44 y4"),
    ("16",   "PATCH",  "/v2/credentials/{credential_id}",                                    200, "44yy344 34 44 y4"),
    ("16",   "DELETE", "/v2/credentials/{lone_credential_id}",                               204, "44yy344 34 44 y4"),
    ("17",   "GET",    "/v2/flows?workspace_id={workspace_id}",                              200, "33yyy33 y3 33 y3"),
    ("17",   "POST",   "/v2/flows",                                                          201, "33yy333 33 33 33"),
    ("17",   "GET",    "/v2/flows/{flow_id}",                                                200, "44yyy44 y4 44 y4"),
    ("17",   "PATCH",  "/v2/flows/{flow_id}",                                                200, "44yy344 34 44 34"),
    ("17",   "DELETE", "/v2/flows/{flow_id}",                                                204, "44yy344 34 44 y4"),
    ("17",   "GET",    "/v2/flows/{flow_id}/draft",                                          200, "44yy344 34 44 y4"),
    ("17",   "PUT",    "/v2/flows/{flow_id}/draft",                                          200, "44yy344 34 44 y4"),
    ("17",   "DELETE", "/v2/flows/{flow_id}/draft",                                          204, "44yy344 34 44 y4"),
    ("17",   "POST",   "/v2/flows/{flow_id}/start",                                          202, "44yy344 34 44 y4"),
    ("17",   "POST",   "/v2/flows/{flow_id}/stop",                                           202, "44yy344 34 44 y4"),
    ("0.16", "POST",   "/v2/flows/{flow_id}/task-keys",                                      201, "4433344 34 44 y4"),
    ("17",   "GET",    "/v2/flows/{flow_id}/versions",                                       200, "44yyy44 34 44 y4"),
    ("17",   "GET",    "/v2/flows/{flow_id}/versions/{version}",                             200, "44yyy44 34 44 y4"),
    ("6.4",  "GET",    "/v2/permissions",                                                    200, "yyyyyyy 33 y3 yy"),
    ("0.6",  "GET",    "/v2/providers",                                                      200, "yyyyyyy yy yy yy"),
    ("0.6",  "GET",    "/v2/providers/{provider_name}",                                      200, "yyyyyyy yy yy yy"),
    # of the installation: what each account may do is for those alone who hold the permissions for it
    ("0.16", "GET",    "/v2/service-accounts",                                               200, "3333333 33 33 y3"),
    ("0.16", "GET",    "/v2/service-accounts/{service_account_id}",                          200, "4444444 44 44 y4"),
    ("0.16", "PATCH",  "/v2/service-accounts/{service_account_id}",                          200, "4444444 44 44 y4"),
    ("0.16", "DELETE", "/v2/service-accounts/{service_account_id}",                          204, "4444444 44 44 y4"),
    ("12",   "GET",    "/v2/teams?contract_id={contract_id}",                                200, "yyyyy33 33 33 y3"),
    ("12",   "POST",   "/v2/teams",                                                          201, "yy33333 33 33 y3"),
    ("12",   "GET",    "/v2/teams/{team_id}",                                                200, "yyyyy44 44 44 y4"),
    ("12",   "PATCH",  "/v2/teams/{team_id}",                                                200, "yy33344 44 44 y4"),
    ("12",   "DELETE", "/v2/teams/{lone_team_id}",                                           204, "yy33344 44 44 y4"),
    ("12",   "POST",   "/v2/teams/{team_id}/relationships/members",                          200, "yy33344 44 44 y4"),
    ("12",   "DELETE", "/v2/teams/{team_id}/relationships/members",                          204, "yy33344 44 44 y4"),
    ("7",    "GET",    "/v2/tenants",                                                        200, "y333333 33 y3 y3"),
    ("7",    "POST",   "/v2/tenants",                                                        201, "3333333 33 33 y3"),
    ("7",    "GET",    "/v2/tenants/{tenant_id}",                                            200, "y333333 33 33 y3"),
    ("7",    "PATCH",  "/v2/tenants/{tenant_id}",                                            200, "y333333 33 33 y3"),
    # it has contracts, which is judged after the permission
    ("7",    "DELETE", "/v2/tenants/{tenant_id}",                                            409, "3333333 33 33 y3"),
    ("0.16", "GET",    "/v2/tenants/{tenant_id}/audit-events",                               200, "y333333 33 33 y3"),
    ("15.4", "GET",    "/v2/tenants/{tenant_id}/ending-grants",                              200, "y333333 33 33 y3"),
    ("15.4", "GET",    "/v2/tenants/{tenant_id}/idle-grants",                                200, "y333333 33 33 y3"),
    ("14.3", "GET",    "/v2/tenants/{tenant_id}/auth-clients",                               200, "y333333 33 33 y3"),
    ("14.3", "POST",   "/v2/tenants/{tenant_id}/auth-clients",                               201, "y333333 33 33 y3"),
    ("14.3", "GET",    "/v2/tenants/{tenant_id}/auth-clients/{tenant_auth_client_id}",       200, "y333333 33 33 y3"),
    ("14.3", "PATCH",  "/v2/tenants/{tenant_id}/auth-clients/{tenant_auth_client_id}",       200, "y333333 33 33 y3"),
    ("14.3", "DELETE", "/v2/tenants/{tenant_id}/auth-clients/{tenant_auth_client_id}",       204, "y333333 33 33 y3"),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/events",                                     200, "y333333 33 33 y3"),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/events/{event_id}/replay",                   202, "y333333 33 33 y3"),
    ("8.1",  "GET",    "/v2/tenants/{tenant_id}/oauth-clients",                              200, "y333333 33 33 y3"),
    ("8.1",  "POST",   "/v2/tenants/{tenant_id}/oauth-clients",                              201, "y333333 33 33 y3"),
    ("8.1",  "GET",    "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}",            200, "y333333 33 33 y3"),
    ("8.1",  "PATCH",  "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}",            200, "y333333 33 33 y3"),
    ("8.1",  "DELETE", "/v2/tenants/{tenant_id}/oauth-clients/{lone_oauth_client_id}",       204, "y333333 33 33 y3"),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}/diagnose",   200, "y333333 33 33 y3"),
    ("0.15", "GET",    "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}/usage",      200, "y333333 33 33 y3"),
    ("0.6",  "POST",   ("/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}"
     "/secret-rotation"), 201, "y333333 33 33 y3"),
    ("0.6",  "GET",    ("/v2/tenants/{tenant_id}/oauth-clients/{lone_oauth_client_id}"
     "/secret-rotation"), 200, "y333333 33 33 y3"),
    ("0.6",  "PATCH",  ("/v2/tenants/{tenant_id}/oauth-clients/{lone_oauth_client_id}"
     "/secret-rotation"), 200, "y333333 33 33 y3"),
    ("0.6",  "DELETE", ("/v2/tenants/{tenant_id}/oauth-clients/{lone_oauth_client_id}"
     "/secret-rotation"), 204, "y333333 33 33 y3"),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/deleted-clients",                            200, "yyyy33y 33 33 y3"),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/deleted-clients/{deleted_client_id}/restore", 200, "y444334 33 33 y3"),
    ("0.6",  "DELETE", "/v2/tenants/{tenant_id}/deleted-clients/{deleted_client_id}",        204, "y444334 33 33 y3"),
    ("0.7",  "GET",    "/v2/tenants/{tenant_id}/connect-theme",                              200, "y333333 33 33 y3"),
    ("0.7",  "PATCH",  "/v2/tenants/{tenant_id}/connect-theme",                              200, "y333333 33 33 y3"),
    ("6.4",  "GET",    "/v2/tenants/{tenant_id}/roles",                                      200, "y333333 33 33 y3"),
    ("6.4",  "PATCH",  "/v2/tenants/{tenant_id}/roles",                                      200, "3333333 33 33 y3"),
    ("6.4",  "PATCH",  "/v2/tenants/{tenant_id}/members/{user_id}",                          200, "y333333 33 33 y3"),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/webhooks",                                   200, "y333333 33 33 y3"),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/webhooks",                                   201, "y333333 33 33 y3"),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/webhooks/{webhook_id}",                      200, "y333333 33 33 y3"),
    ("0.6",  "PATCH",  "/v2/tenants/{tenant_id}/webhooks/{webhook_id}",                      200, "y333333 33 33 y3"),
    ("0.6",  "DELETE", "/v2/tenants/{tenant_id}/webhooks/{webhook_id}",                      204, "y333333 33 33 y3"),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/webhooks/{webhook_id}/deliveries",           200, "y333333 33 33 y3"),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/webhooks/{webhook_id}/replay",               202, "y333333 33 33 y3"),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/webhooks/{webhook_id}/rotate-secret",        200, "y333333 33 33 y3"),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/webhooks/{webhook_id}/test",                 202, "y333333 33 33 y3"),
    ("11",   "GET",    "/v2/users",                                                          200, "y333333 33 y3 33"),
    ("11",   "POST",   "/v2/users",                                                          201, "y333333 33 y3 33"),
    ("11",   "GET",    "/v2/users/me",                                                       200, "yyyyyyy 33 y3 33"),
    ("0.2",  "GET",    "/v2/users/me/api-keys",                                              200, "yyyyyyy 33 y3 33"),
    ("0.2",  "POST",   "/v2/users/me/api-keys",                                              201, "yyyyyyy 33 y3 33"),
    ("0.2",  "DELETE", "/v2/users/me/api-keys/{key_id}",                                     204, "444y444 33 43 33"),
    ("9",    "GET",    "/v2/users/me/invites",                                               200, "yyyyyyy 33 y3 33"),
    ("9",    "POST",   "/v2/users/me/invites/{invite_id}/accept",                            200, "44444y4 33 43 33"),
    ("11",   "GET",    "/v2/users/{user_id}",                                                200, "yyyyy44 44 44 y4"),
    ("11",   "GET",    "/v2/users/{stranger_id}",                                            200, "y4444y4 44 44 y4"),
    ("11",   "DELETE", "/v2/users/{user_id}",                                                204, "y333344 44 44 y4"),
    ("0.2",  "POST",   "/v2/users/{newcomer_id}/setup-links",                                201, "y444444 44 44 y4"),
    ("10",   "GET",    "/v2/workspaces",                                                     200, "yyyyyyy 33 y3 y3"),
    ("10",   "GET",    "/v2/workspaces?contract_id={contract_id}",                           200, "yyyyy33 33 33 y3"),
    ("10",   "POST",   "/v2/workspaces",                                                     200, "3yyyy33 33 33 33"),
    ("10",   "GET",    "/v2/workspaces/{workspace_id}",                                      200, "yyyyy33 y3 33 y3"),
    ("10",   "PATCH",  "/v2/workspaces/{workspace_id}",                                      200, "33y3333 33 33 y3"),
    ("10",   "DELETE", "/v2/workspaces/{workspace_id}",                                      204, "3yy3333 33 33 y3"),
    ("13.2", "GET",    "/v2/workspaces/{workspace_id}/components",                           200, "33yyy33 y3 33 y3"),
    ("13.2", "GET",    "/v2/workspaces/{workspace_id}/components/{component_id}",            200, "33yyy33 y3 33 y3"),
    ("0.3",  "GET",    "/v2/workspaces/{workspace_id}/components/{component_id}/runtime-env",200, "3333333 33 33 y3"),
    ("20.2", "POST",   "/v2/workspaces/{workspace_id}/connect-links",                        201, "33yy333 33 33 33"),
    ("20.2", "GET",    "/v2/workspaces/{workspace_id}/connect-links/{connect_link_id}",      200, "334y333 33 33 43"),
    ("0.6",  "POST",   "/v2/workspaces/{workspace_id}/mcp-servers",                          200, "yyyy333 33 33 y3"),
    ("10",   "GET",    "/v2/workspaces/{workspace_id}/members",                              200, "y3yyy33 33 33 y3"),
    ("10",   "POST",   "/v2/workspaces/{workspace_id}/members",                              200, "y3y3333 33 33 y3"),
    ("10",   "PATCH",  "/v2/workspaces/{workspace_id}/members/{user_id}",                    200, "y3y3333 33 33 y3"),
    ("10",   "DELETE", "/v2/workspaces/{workspace_id}/members/{user_id}",                    204, "y3y3333 33 33 y3"),
    ("20.2", "POST",   "/v2/workspaces/{workspace_id}/oauth-consents",                       201, "33yy333 33 33 33"),
    ("20.2", "GET",    "/v2/workspaces/{workspace_id}/oauth-consents/{consent_id}",          200, "334y333 33 33 43"),
    ("15.2", "GET",    "/v2/workspaces/{workspace_id}/secrets",                              200, "33yyy33 y3 33 y3"),
    ("15.2", "POST",   "/v2/workspaces/{workspace_id}/secrets",                              201, "33yy333 33 33 33"),
    ("15.2", "GET",    "/v2/workspaces/{workspace_id}/secrets/{secret_id}",                  200, "33yyy33 y3 33 y3"),
    ("15.2", "PATCH",  "/v2/workspaces/{workspace_id}/secrets/{secret_id}",                  200, "33yy333 33 33 y3"),
    ("15.2", "DELETE", "/v2/workspaces/{workspace_id}/secrets/{lone_secret_id}",             204, "33yy333 33 33 y3"),
    # its token is not bound to a key; decision 41
    ("15.2", "POST",   "/v2/workspaces/{workspace_id}/secrets/{secret_id}/dpop-proof",       409, "33yy333 y3 33 y3"),
    # the secret cannot be refreshed
    ("15.3", "POST",   "/v2/workspaces/{workspace_id}/secrets/{secret_id}/refresh",          400, "33yy333 y3 33 y3"),
]
# fmt: on

PUBLIC = {
    "/oauth/client-metadata.json": "a document that authorization servers fetch, the same for all (decision 42)",
    "/oauth/client-metadata/{issuer_name}": "as the one above, for one issuer",
    "/callback/oauth1": "the token in the query is the proof (20.3, 21)",
    "/callback/oauth2": "the state in the query is the proof (20.3)",
    "/callback/oauth2/{issuer_name}": "as the one above, where one issuer's answers arrive (decision 42)",
    "/connect": "the link in the query is the proof; says who asks for what, and begins the consent (decision 26)",
    "/connect/logo/{name}": "an image that people see who connect accounts, by its digest (decision 36)",
    "/connect.js": "a script, the same for all",
    "/consent": "the link in the query is the proof; says who asks for what, and binds the browser (0.23)",
    "/console": "people sign in here; what each sees is in tests/tenancy/test_console_by_user.py (decision 28)",
    "/console/account": "as `/console`",
    "/console/account/api-keys/new": "as `/console`",
    "/console/account/api-keys/{key_id}/revoke": "as `/console`",
    "/console/account/password": "as `/console`",
    "/console/account/sessions/end": "as `/console`",
    "/console/account/sessions/end-others": "as `/console`",
    "/console/account/two-step": "as `/console`",
    "/console/account/two-step/begin": "as `/console`",
    "/console/account/two-step/confirm": "as `/console`",
    "/console/account/two-step/disable": "as `/console`",
    "/console/account/two-step/recovery-codes": "as `/console`",
    "/console/auth-clients": "as `/console`",
    "/console/auth-clients/new": "as `/console`",
    "/console/auth-clients/{auth_client_id}": "as `/console`",
    "/console/auth-clients/{auth_client_id}/delete": "as `/console`",
    "/console/auth-clients/{auth_client_id}/diagnose": "as `/console`",
    "/console/auth-clients/{auth_client_id}/edit": "as `/console`",
    "/console/auth-clients/{auth_client_id}/retry": "as `/console`",
    "/console/auth-clients/{auth_client_id}/rotation": "as `/console`",
    "/console/auth-clients/{auth_client_id}/secret": "as `/console`",
    "/console/building-blocks": "as `/console`",
    "/console/components": "as `/console`",
    "/console/components/{component_id}": "as `/console`",
    "/console/files/{name}": "the style sheet",
    "/console/settings/single-sign-on": "as `/console`",
    "/console/settings/single-sign-on/delete": "as `/console`",
    "/console/settings/single-sign-on/people/{user_id}/unlink": "as `/console`",
    "/console/settings/single-sign-on/test": "as `/console`",
    "/console/settings/single-sign-on/tests/{test_id}": "as `/console`; a test is its tester's",
    "/console/deleted-clients": "as `/console`",
    "/console/deleted-clients/{deleted_client_id}/purge": "as `/console`",
    "/console/deleted-clients/{deleted_client_id}/restore": "as `/console`",
    "/console/oauth-clients": "as `/console`",
    "/console/oauth-clients/new": "as `/console`",
    "/console/oauth-clients/{oauth_client_id}": "as `/console`",
    "/console/oauth-clients/{oauth_client_id}/delete": "as `/console`",
    "/console/oauth-clients/{oauth_client_id}/diagnose": "as `/console`",
    "/console/oauth-clients/{oauth_client_id}/edit": "as `/console`",
    "/console/oauth-clients/{oauth_client_id}/rotation": "as `/console`",
    "/console/oauth-clients/{oauth_client_id}/secret": "as `/console`",
    "/console/audit": "as `/console`",
    "/console/ending-connections": "as `/console`",
    "/console/unused-connections": "as `/console`",
    "/console/audit/export": "as `/console`",
    "/console/contracts": "as `/console`",
    "/console/contracts/new": "as `/console`",
    "/console/contracts/{contract_id}": "as `/console`",
    "/console/contracts/{contract_id}/delete": "as `/console`",
    "/console/contracts/{contract_id}/invites/new": "as `/console`",
    "/console/contracts/{contract_id}/invites/{invite_id}/revoke": "as `/console`",
    "/console/contracts/{contract_id}/invites/{invite_id}/send-again": "as `/console`",
    "/console/contracts/{contract_id}/members/new": "as `/console`",
    "/console/contracts/{contract_id}/members/{user_id}": "as `/console`",
    "/console/contracts/{contract_id}/members/{user_id}/remove": "as `/console`",
    "/console/contracts/{contract_id}/name": "as `/console`",
    "/console/contracts/{contract_id}/suspend": "as `/console`",
    "/console/contracts/{contract_id}/unsuspend": "as `/console`",
    "/console/contracts/{contract_id}/workspaces/new": "as `/console`",
    "/console/events": "as `/console`",
    "/console/events/{event_id}": "as `/console`",
    "/console/events/{event_id}/replay": "as `/console`",
    "/console/installation/service-accounts": "as `/console`",
    "/console/installation/service-accounts/{service_account_id}": "as `/console`",
    "/console/installation/service-accounts/{service_account_id}/delete": "as `/console`",
    "/console/invites": "as `/console`",
    "/console/invites/{invite_id}/accept": "as `/console`",
    "/console/people": "as `/console`",
    "/console/people/new": "as `/console`",
    "/console/people/{user_id}": "as `/console`",
    "/console/people/{user_id}/delete": "as `/console`",
    "/console/people/{user_id}/setup-link": "as `/console`",
    "/console/people/{user_id}/tenant-roles": "as `/console`",
    "/console/people/{user_id}/two-step": "as `/console`",
    "/console/roles": "as `/console`",
    "/console/roles/delete": "as `/console`",
    "/console/roles/edit": "as `/console`",
    "/console/roles/new": "as `/console`",
    "/console/installation": "for service accounts alone: tests/console/test_installation_pages.py (decision 34)",
    "/console/installation/audit": "as `/console/installation`",
    "/console/installation/grants": "as `/console/installation`",
    "/console/installation/keys": "as `/console/installation`",
    "/console/installation/processes": "as `/console/installation`",
    "/console/installation/providers": "as `/console/installation`",
    "/console/installation/providers/named": "as `/console/installation`",
    "/console/installation/reports": "as `/console/installation`",
    "/console/installation/queue": "as `/console/installation`",
    "/console/installation/tenants": "as `/console/installation`",
    "/console/search": "as `/console`; what each finds is in tests/tenancy/test_search_by_caller.py (decision 35)",
    "/console/settings/connect-page": "as `/console`",
    "/console/settings/connect-page/preview": "as `/console`",
    "/console/sign-in": "the form to sign in with",
    "/console/sign-in/code": "the form for the code, to who was right about the password",
    "/console/sign-in/organisation": "leads to the provider of an email's domain (decision 31)",
    "/console/sign-in/{tenant_id}": "names a tenant and its provider to who has its address (decision 31)",
    "/console/sign-in/{tenant_id}/callback": "the state in the query and the browser's cookie are the proof",
    "/console/sign-out": "as `/console`",
    "/console/webhooks": "as `/console`",
    "/console/webhooks/new": "as `/console`",
    "/console/webhooks/{webhook_id}": "as `/console`",
    "/console/webhooks/{webhook_id}/delete": "as `/console`",
    "/console/webhooks/{webhook_id}/deliveries": "as `/console`",
    "/console/webhooks/{webhook_id}/deliveries/{event_id}": "as `/console`",
    "/console/webhooks/{webhook_id}/deliveries/{event_id}/replay": "as `/console`",
    "/console/webhooks/{webhook_id}/disable": "as `/console`",
    "/console/webhooks/{webhook_id}/edit": "as `/console`",
    "/console/webhooks/{webhook_id}/enabled": "as `/console`",
    "/console/webhooks/{webhook_id}/replay": "as `/console`",
    "/console/webhooks/{webhook_id}/rotate": "as `/console`",
    "/console/webhooks/{webhook_id}/test": "as `/console`",
    "/console/workspaces/{workspace_id}/members": "as `/console`",
    "/console/workspaces/{workspace_id}/members/new": "as `/console`",
    "/console/workspaces/{workspace_id}/members/{user_id}": "as `/console`",
    "/console/workspaces/{workspace_id}/members/{user_id}/remove": "as `/console`",
    "/console/workspaces": "as `/console`",
    "/console/workspaces/{workspace_id}": "as `/console`",
    "/console/workspaces/{workspace_id}/connect": "as `/console`",
    "/console/workspaces/{workspace_id}/connect-links": "as `/console`",
    "/console/workspaces/{workspace_id}/mcp-servers": "as `/console`",
    "/console/workspaces/{workspace_id}/mcp-servers/new": "as `/console`",
    "/console/workspaces/{workspace_id}/mcp-servers/{auth_client_id}": "as `/console`",
    "/console/workspaces/{workspace_id}/connect-links/new": "as `/console`",
    "/console/workspaces/{workspace_id}/connections/{secret_id}": "as `/console`",
    "/console/workspaces/{workspace_id}/connections/{secret_id}/delete": "as `/console`",
    "/console/workspaces/{workspace_id}/connections/{secret_id}/disclose": "as `/console`",
    "/console/workspaces/{workspace_id}/connections/{secret_id}/reconnect": "as `/console`",
    "/console/workspaces/{workspace_id}/connections/{secret_id}/refresh": "as `/console`",
    "/console/workspaces/{workspace_id}/connections/{secret_id}/rename": "as `/console`",
    "/console/workspaces/{workspace_id}/connections/{secret_id}/test": "as `/console`",
    "/console/workspaces/{workspace_id}/consents/{consent_id}": "as `/console`",
    "/console/workspaces/{workspace_id}/consents/{consent_id}/provider": "as `/console`",
    "/console/workspaces/{workspace_id}/credentials": "as `/console`",
    "/console/workspaces/{workspace_id}/credentials/{credential_id}": "as `/console`",
    "/console/workspaces/{workspace_id}/credentials/{credential_id}/delete": "as `/console`",
    "/console/workspaces/{workspace_id}/credentials/{credential_id}/disclose": "as `/console`",
    "/console/workspaces/{workspace_id}/credentials/{credential_id}/reconnect": "as `/console`",
    "/console/workspaces/{workspace_id}/credentials/{credential_id}/rename": "as `/console`",
    "/docs": "describes the API",
    "/docs/{name}": "describes the API",
    "/healthz": "says that the process lives",
    "/metrics": "counts of the whole installation, without names; needs a key, or is open by a setting",
    "/openapi.json": "describes the API",
    "/setup": "the link in the query is the proof; says whose account it sets up, and shows its key (decision 24)",
    "/readyz": "says that the database is there",
}
"""Routes that no caller has a standing for, and why."""


def filled(path: str) -> str:
    """Return the path of a public route with names of what is not there, but for the file."""
    return re.sub(r"\{\w+\}", "0" * 24, path.replace("{name}", "docs.js"))


IDLE = {
    ("POST", "/v2/auth-clients/{auth_client_id}/diagnose"),  # changes nothing
    ("POST", "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}/diagnose"),  # changes nothing
    ("POST", "/v2/contracts/{contract_id}/unsuspend"),  # it is not suspended
    ("POST", "/v2/flows/{flow_id}/start"),  # it is active
    ("POST", "/v2/tenants/{tenant_id}/events/{event_id}/replay"),  # it is on its way
    ("POST", "/v2/workspaces/{workspace_id}/mcp-servers"),  # there is an auth client for it
}
"""Routes that have nothing to do here."""


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        section: of the contract.
        method: of the route.
        path: with the names of ids, and a query where the route needs one.
        status: of success.
        cells: what each caller gets, by column.
    """

    section: str
    method: str
    path: str
    status: int
    cells: dict[str, str]

    @property
    def route(self) -> tuple[str, str]:
        """Method and path as the application spells it."""
        path = self.path.partition("?")[0]
        for ours, its in PARAMETERS.items():
            path = path.replace(f"{{{ours}}}", f"{{{its}}}")
        return self.method, path

    @property
    def is_idle(self) -> bool:
        """Tell whether success leaves everything as it is: nothing but the audit log says that it was done."""
        return self.status >= 400 or self.route in IDLE

    def expected(self, column: str) -> int:
        """Return the status that a caller gets."""
        return {"y": self.status, "3": 403, "4": 404}[self.cells[column]]


def rows() -> Iterator[Row]:
    """Read the table."""
    for section, method, path, status, cells in ROUTES:
        yield Row(section, method, path, status, dict(zip(CALLERS, cells.replace(" ", ""), strict=True)))
