"""The component.json of the demo's components."""

from typing import Any


def descriptor(title: str, authorization_endpoint: str, token_endpoint: str) -> dict[str, Any]:
    """Return a first-generation descriptor with legacy variables, templates and `useOAuthClient`.

    Args:
        title: what people call the component.
        authorization_endpoint: where the browser is sent.
        token_endpoint: where codes are exchanged.
    """
    return {
        "title": title,
        "envVars": {"PIZZAVAN_KEY": {"required": True}, "PIZZAVAN_SECRET": {"required": True}},
        "useOAuthClient": True,
        "credentials": {
            "fields": {"oauth": {"label": "Authentication", "viewClass": "OAuthFieldView", "required": True}},
            "oauth2": {
                "client_id": "{{PIZZAVAN_KEY}}",
                "client_secret": "{{PIZZAVAN_SECRET}}",
                "auth_uri": authorization_endpoint,
                "token_uri": token_endpoint,
                "scopes": ["orders"],
            },
        },
        "actions": {"placeOrder": {"title": "Place an order", "main": "./order.js"}},
    }


def renewed_descriptor(title: str) -> dict[str, Any]:
    """Return a second-generation descriptor: auth clients hold addresses and keys, and Keyrack renews the tokens.

    Args:
        title: what people call the component.
    """
    return {
        "title": title,
        "authClientTypes": ["oauth2"],
        "credentials": {
            "fields": {"oauth": {"label": "Authentication", "viewClass": "OAuthFieldView", "required": True}},
            "oauth2": {"scopes": ["mail.read"]},
        },
        "triggers": {"newMail": {"title": "Get new mail", "main": "./mail.js", "type": "polling"}},
    }
