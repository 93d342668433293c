"""Serves a page whose visitors connect an account by a connect link of Keyrack; needs Python alone.

Settings come from the environment:

    KEYRACK    base of Keyrack's addresses, such as https://keyrack.example
    ME         email and API key of a user who may connect accounts in the workspace: ida@globex.example:kr_…
    WORKSPACE  id of the workspace
    COMPONENT  id of what is connected; or AUTH_CLIENT
    PORT       where to listen on this machine; 3000 unless it is set

The key stays on this server: visitors get a link that is good once. In your own program only the visitor who is signed
in gets a link, and only links of that visitor are told; here everybody is the same visitor.
"""

import base64
import json
import os
import re
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
KEYRACK = os.environ["KEYRACK"].rstrip("/")
LINKS = f"{KEYRACK}/v2/workspaces/{os.environ['WORKSPACE']}/connect-links"
LINK = re.compile(r"/links/([0-9a-f]{24})")
POLICY = f"default-src 'none'; script-src 'self' {KEYRACK}; connect-src 'self'; base-uri 'none'; form-action 'none'"


def call(method, url, body=None):
    """Call Keyrack; return the resource that it answers with."""
    key = base64.b64encode(os.environ["ME"].encode()).decode()
    headers = {"authorization": f"Basic {key}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        return json.load(answer)["data"]


def wanted():
    """Return the relationship to what is connected."""
    if "AUTH_CLIENT" in os.environ:
        return {"auth_client": {"data": {"type": "auth-client", "id": os.environ["AUTH_CLIENT"]}}}
    return {"component": {"data": {"type": "component", "id": os.environ["COMPONENT"]}}}


class Handler(BaseHTTPRequestHandler):
    """Answers the visitors' browsers."""

    def do_GET(self):
        """Answer with the page, its script, or how far a link has come."""
        if self.path == "/":
            self.answer(200, "text/html", (HERE / "index.html").read_text("utf-8").replace("{KEYRACK}", KEYRACK))
        elif self.path == "/page.js":
            self.answer(200, "text/javascript", (HERE / "page.js").read_text("utf-8"))
        elif found := LINK.fullmatch(self.path):
            self.pass_on(lambda: {"status": call("GET", f"{LINKS}/{found[1]}")["attributes"]["status"]})
        else:
            self.answer(404, "text/plain", "there is no such page")

    def do_POST(self):
        """Make a link that this page, and no other, is told the outcome of."""
        if self.path != "/links":
            self.answer(404, "text/plain", "there is no such page")
            return
        origin = f"http://127.0.0.1:{self.server.server_port}"
        attributes = {"expires_in": 900, "opener_origin": origin}
        link = {"type": "connect-link", "attributes": attributes, "relationships": wanted()}
        self.pass_on(lambda: self.shown(call("POST", LINKS, {"data": link})))

    @staticmethod
    def shown(link):
        """Return what the browser is told of a new link."""
        return {"id": link["id"], "url": link["attributes"]["url"]}

    def pass_on(self, ask):
        """Answer with what Keyrack says; why it refuses is for the one who runs this server."""
        try:
            self.answer(200, "application/json", json.dumps(ask()))
        except urllib.error.HTTPError as error:
            print(error.read().decode(), flush=True)
            self.answer(502, "application/json", "{}")

    def answer(self, status, kind, text):
        """Send an answer."""
        self.send_response(status)
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-security-policy", POLICY)
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        """Log nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
