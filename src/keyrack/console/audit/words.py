"""Says entries of the audit log in plain words; the exact action stands beneath."""

from collections.abc import Mapping

_THINGS: Mapping[str, str] = {
    "api-key": "an API key",
    "auth-client": "an auth client",
    "auth-secret": "a secret",
    "component": "a component",
    "component-env": "a component's variables",
    "component-version": "a build of a component",
    "connect-link": "a connect link",
    "consent": "a consent",
    "console-session": "a session of the console",
    "contract": "a contract",
    "contract-invite": "an invite",
    "contract-member": "a member of a contract",
    "credential": "a credential",
    "event": "an event",
    "flow": "a flow",
    "member": "a member of a workspace",
    "oauth-client": "an OAuth client",
    "password": "a password",
    "role-policy": "the roles",
    "runtime-env": "a component's environment",
    "secret": "a secret",
    "service-account": "a service account",
    "setup-link": "a setup link",
    "task-key": "a key for a running step",
    "team": "a team",
    "team-member": "a member of a team",
    "tenant": "the tenant",
    "tenant-member": "somebody's roles in the tenant",
    "user": "a user",
    "version": "a build of a component",
    "webhook": "a webhook",
    "workspace": "a workspace",
    "workspace-member": "a member of a workspace",
}
_DEEDS: Mapping[str, str] = {
    "accept": "accepted",
    "add": "added",
    "change": "changed",
    "complete": "completed",
    "create": "created",
    "delete": "deleted",
    "disable": "disabled",
    "disclose": "read in the clear",
    "edit": "changed",
    "end": "ended",
    "read": "read",
    "refresh": "refreshed",
    "remove": "removed",
    "replace": "replaced",
    "replay": "had delivered again",
    "reveal": "read in the clear",
    "revoke": "revoked",
    "send-again": "sent again",
    "set": "set",
    "start": "started",
    "stop": "stopped",
    "suspend": "suspended",
    "test": "tested",
    "unsuspend": "reopened",
    "use": "used",
}
_WHOLE: Mapping[str, str] = {
    "auth-client.deregister": "deregistered an auth client at its authorization server",
    "auth-client.renew-secret": "had a registered auth client's secret renewed",
    "console-session.create": "signed in to the console",
    "console-session.end": "ended a session of the console",
    "console-session.end-others": "ended all other sessions of the console",
    "credential.update-keys": "stored new tokens in a credential",
    "flow.draft": "stored a draft of a flow",
    "flow.draft-delete": "threw away the draft of a flow",
    "installation.bootstrap": "set up the installation",
    "mail.send": "sent a mail",
    "mcp-server.add": "asked for the auth client of an MCP server",
    "platform.import": "imported from another platform",
    "api-key.use": "called with an API key",
    "audit-key.rotate": "gave the audit logs a new signing key",
    "audit-log.export": "exported an audit log",
    "auth-client.pause": "stopped refreshing with an auth client that its provider rejects",
    "auth-client.resume": "refreshes with an auth client again",
    "secret.end": "found that a connection has ended and needs a new consent",
    "secret.sign-proof": "had proofs signed with a secret's key",
    "secret.revoke": "revoked a secret's tokens at the provider",
    "tenant.import": "imported the tenant",
    "webhook.rotate-secret": "gave a webhook a new signing secret",
    "webhook.test": "sent a test to a webhook",
    "webhook.replay": "had events delivered again to a webhook",
    "event.replay": "had an event delivered again",
}
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "allowed": ("done", "good"),
    "denied": ("refused", "warn"),
    "failed": ("failed", "bad"),
}
"""Of each outcome a word, and the colour of its badge."""

TARGET_TYPES = tuple(sorted(_THINGS))
"""What can be acted on, as the log calls it."""


def what_happened(action: str) -> str:
    """Return an action in plain words, such as "created an OAuth client"; one that we do not know as it is."""
    if action in _WHOLE:
        return _WHOLE[action]
    thing, _, deed = action.partition(".")
    if thing in _THINGS and deed in _DEEDS:
        return f"{_DEEDS[deed]} {_THINGS[thing]}"
    return action


def thing(target_type: str) -> str:
    """Return what was acted on, without its article."""
    return _THINGS.get(target_type, target_type).removeprefix("an ").removeprefix("a ").removeprefix("the ")
