"""Builds the configuration of a flow's step: its fields and its credential (contract 18.2)."""

from collections.abc import Mapping
from typing import Any

from keyrack.model import Json
from keyrack.service.authz.access import Scope
from keyrack.service.authz.freezing import require_component_thawed, require_thawed
from keyrack.service.authz.permissions import GET_SECRET_CREDENTIALS
from keyrack.service.secrets.oauth2_credentials import shown
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.credentials import CredentialRows

STEP = "workspaces.credential.edit"


async def step_configuration(scope: Scope, node: Mapping[str, Any]) -> Json:
    """Return a step's configuration; on a clash of names credential values win over fields.

    A credential or secret that is gone leaves only its id (contract 15.2). A secret's tokens are those stored now:
    components fetch the secret when they need it.

    Raises:
        Forbidden: the caller may not see what the step uses.
        FrozenError: the operator has frozen it.
    """
    config = dict(node.get("fields") or {})
    secret_id, credential_id = node.get("secret_id"), node.get("credentials_id")
    scope.require(GET_SECRET_CREDENTIALS if secret_id else STEP)
    if credential_id:
        credential = await CredentialRows(scope.unit).find(credential_id)
        if credential is not None:
            await require_component_thawed(scope.unit, credential.tenant_id, credential.component_id)
        config |= {} if credential is None else credential.keys
        config["_account"] = credential_id
    if secret_id:
        secret = await AuthSecrets(scope.unit).find(secret_id)
        if secret is not None:
            await require_thawed(scope.unit, secret.tenant_id, secret.auth_client_id)
            fields = secret.credentials.get("fields")
            config |= fields if isinstance(fields, Mapping) else {}
            config["credentials"] = shown(secret)
        config["secretId"] = secret_id
    return config
