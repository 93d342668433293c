"""A server of the Model Context Protocol as OAuth sees it: a protected resource (RFC 9728, RFC 8707, RFC 6750)."""

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION, WWW_AUTHENTICATE

from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.state import Call, State
from keyrack.simulator.tokens import Token
from keyrack.simulator.wire import STATE, sim_of

PATH = "/mcp"
METADATA_PATH = "/.well-known/oauth-protected-resource/mcp"
USE, TOOLS = "mcp", "mcp:tools"
"""The scope that every request needs, and the one that calling a tool needs beside it."""


async def resource_metadata(request: web.Request) -> web.Response:
    """Answer `GET /.well-known/oauth-protected-resource/mcp` (RFC 9728 section 3)."""
    issuer = request.app[STATE].issuer
    document = {
        "resource": f"{issuer}{PATH}",
        "authorization_servers": [issuer],
        "scopes_supported": [USE, TOOLS],
        "bearer_methods_supported": ["header"],
        "resource_name": "The simulator's tools",
    }
    return web.json_response(document)


async def message(request: web.Request) -> web.StreamResponse:
    """Answer `POST /mcp`: a JSON-RPC message, for a live access token that was asked for with this resource."""
    state = request.app[STATE]
    method = await _method(request)
    scheme, _, value = request.headers.get(AUTHORIZATION, "").partition(" ")
    found = state.book.access(value.strip()) if scheme.lower() == "bearer" else None
    behaviour = state.behaviour("mcp", found.grant.client_id if found else "", sim_of(request))
    needed = (USE, TOOLS) if method == "tools/call" else (USE,)

    def process() -> Processed:
        if found is None or not _is_for_us(state, found):
            return "invalid_token", _refused(state, "invalid_token" if value else "", (USE,), 401)
        if not set(needed) <= set(found.scope.split()):
            return "insufficient_scope", _refused(state, "insufficient_scope", needed, 403)
        return "ok", web.json_response({"jsonrpc": "2.0", "id": 1, "result": {}})

    call = Call("mcp", found.grant.client_id if found and found.grant.client_id in state.clients else "", "")
    return await counted(request, behaviour, call, process)


def _is_for_us(state: State, token: Token) -> bool:
    """Tell whether a token is live and was asked for with our resource indicator (RFC 8707 section 2)."""
    asked_for = token.grant.parameters.get("resource")
    return token.state(state.book.now()) == "active" and asked_for == f"{state.issuer}{PATH}"


def _refused(state: State, error: str, scopes: tuple[str, ...], status: int) -> web.Response:
    said = {"error": error, "scope": " ".join(scopes), "resource_metadata": f"{state.issuer}{METADATA_PATH}"}
    challenge = ", ".join(f'{name}="{text}"' for name, text in said.items() if text)
    headers = {WWW_AUTHENTICATE: f"Bearer {challenge}", "Cache-Control": "no-store"}
    return web.json_response({"error": error or "invalid_token"}, status=status, headers=headers)


async def _method(request: web.Request) -> str:
    try:
        document = await request.json()
    except ValueError:
        return ""
    method = document.get("method") if isinstance(document, dict) else None
    return method if isinstance(method, str) else ""
