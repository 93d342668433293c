"""The simulator as an application: all its routes."""

from aiohttp import web

from keyrack.simulator import (
    authorize,
    browser,
    control,
    control_http,
    device,
    endpoints,
    instagram,
    mcp,
    oauth1,
    pushed,
    registration,
    token,
)
from keyrack.simulator.config import SimulatorConfig
from keyrack.simulator.state import State
from keyrack.simulator.wire import MAX_BODY, STATE


def create_app(config: SimulatorConfig) -> web.Application:
    """Build the application; its memory is `app[STATE]`.

    Args:
        config: what to start with. Without an issuer in it, whoever serves the application sets
            `app[STATE].issuer` to the address it listens on.
    """
    state = State(config)
    app = web.Application(client_max_size=MAX_BODY)
    app[STATE] = state
    app.add_routes(
        [
            web.get("/", browser.start),
            web.get("/authorize", authorize.authorize),
            web.post("/login", browser.login),
            web.get("/consent", browser.consent),
            web.post("/consent", browser.decide),
            web.post("/token", token.token),
            web.post("/device_authorization", device.device_authorization),
            web.get("/device", device.device_page),
            web.post("/device", device.code_entered),
            web.post("/par", pushed.push),
            web.post("/revoke", endpoints.revoke),
            web.post("/introspect", endpoints.introspect),
            web.get("/api/me", endpoints.me),
            web.get("/.well-known/oauth-authorization-server", endpoints.metadata),
            web.post("/register", registration.register),
            web.get("/register/{client_id}", registration.manage),
            web.put("/register/{client_id}", registration.manage),
            web.delete("/register/{client_id}", registration.manage),
            web.post(mcp.PATH, mcp.message),
            web.get(mcp.METADATA_PATH, mcp.resource_metadata),
            web.get("/jwks.json", endpoints.jwks),
            web.post("/oauth1/request_token", oauth1.request_token),
            web.get("/oauth1/authorize", oauth1.authorize),
            web.post("/oauth1/access_token", oauth1.access_token),
            web.get("/oauth1/me", oauth1.me),
            web.get("/instagram/access_token", instagram.exchange),
            web.get("/instagram/refresh_access_token", instagram.refresh),
        ]
    )
    controls = web.Application(middlewares=[control_http.guard], client_max_size=MAX_BODY)
    controls[STATE] = state
    controls.add_routes(control.ROUTES)
    app.add_subapp("/_sim", controls)
    return app
