"""Lists all controllers, and those of a process without the API."""

from keyrack.api.audit_log import audit_events
from keyrack.api.auth_clients import AuthClientController, TenantAuthClientController
from keyrack.api.client_diagnosis import AuthClientDiagnosisController, OAuthClientDiagnosisController
from keyrack.api.client_documents import client_metadata, issuer_client_metadata
from keyrack.api.component_builds import ComponentBuildController
from keyrack.api.component_environments import ComponentEnvironmentController, runtime_environment
from keyrack.api.components import ComponentController, WorkspaceComponentController
from keyrack.api.connect_links import ConnectLinkController
from keyrack.api.connect_page import connect_begun, connect_page, connect_script
from keyrack.api.connect_themes import ConnectThemeController, connect_logo
from keyrack.api.consent_callbacks import oauth1_callback, oauth2_callback
from keyrack.api.consent_links import consent_begun, consent_page
from keyrack.api.consents import ConsentController
from keyrack.api.contracts import ContractController
from keyrack.api.credentials import CredentialController
from keyrack.api.deleted_clients import DeletedClientController
from keyrack.api.docs import docs_file, docs_page
from keyrack.api.dpop_proofs import dpop_proof
from keyrack.api.flow_history import FlowDraftController, FlowVersionController
from keyrack.api.flows import FlowController
from keyrack.api.grant_reports import ending_grants, idle_grants
from keyrack.api.health import healthz, openapi_json, readyz
from keyrack.api.invites import ContractInviteController, OwnInviteController
from keyrack.api.mcp_servers import McpServerController
from keyrack.api.members import ContractMemberController, WorkspaceMemberController
from keyrack.api.metrics import metrics
from keyrack.api.oauth_clients import OAuthClientController
from keyrack.api.providers import ProviderController
from keyrack.api.roles import TenantRoleController, permissions
from keyrack.api.secret_rotations import AuthClientRotationController, OAuthClientRotationController
from keyrack.api.secrets import SecretController
from keyrack.api.service_accounts import ServiceAccountController
from keyrack.api.setup_links import account_set_up, create_setup_link, setup_page
from keyrack.api.task_keys import task_key
from keyrack.api.teams import TeamController
from keyrack.api.tenants import TenantController
from keyrack.api.users import UserController
from keyrack.api.v1 import step, update_keys
from keyrack.api.webhooks import EventController, WebhookController
from keyrack.api.workspaces import WorkspaceController

HANDLERS = (
    healthz,
    readyz,
    metrics,
    openapi_json,
    docs_page,
    docs_file,
    audit_events,
    UserController,
    create_setup_link,
    OwnInviteController,
    ServiceAccountController,
    TeamController,
    ContractController,
    ContractMemberController,
    ContractInviteController,
    WorkspaceController,
    WorkspaceMemberController,
    TenantController,
    TenantRoleController,
    ConnectThemeController,
    permissions,
    ComponentController,
    WorkspaceComponentController,
    ComponentBuildController,
    ComponentEnvironmentController,
    runtime_environment,
    step,
    update_keys,
    FlowController,
    FlowDraftController,
    FlowVersionController,
    task_key,
    CredentialController,
    OAuthClientController,
    OAuthClientDiagnosisController,
    OAuthClientRotationController,
    DeletedClientController,
    AuthClientController,
    AuthClientDiagnosisController,
    AuthClientRotationController,
    TenantAuthClientController,
    McpServerController,
    client_metadata,
    issuer_client_metadata,
    ProviderController,
    SecretController,
    idle_grants,
    ending_grants,
    dpop_proof,
    ConsentController,
    ConnectLinkController,
    WebhookController,
    EventController,
    oauth2_callback,
    oauth1_callback,
    consent_page,
    consent_begun,
    connect_page,
    connect_begun,
    connect_script,
    connect_logo,
    setup_page,
    account_set_up,
)

WATCHING = (healthz, readyz, metrics)
"""What a worker without an API answers to."""
