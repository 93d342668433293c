# ruff: noqa: PLC0415  # Django lets most of its modules be imported only after its settings are there
"""A Django OAuth Toolkit authorization server for the flow tests, on a free loopback port.

Started as `python server.py JSON DIRECTORY`; the SQLite file goes into DIRECTORY. JSON has:
    clients: [{client_id, client_secret, redirect_uris}]; the server accepts both ways of sending a client secret.
    approval: "automatic" approves for the signed-in person at once, "forms" shows the package's consent page.
    rotate: whether every refresh gives a new refresh token and ends the old one.
    access_token_ttl: seconds.
    pkce_required: whether an authorization request without a code challenge is refused.

Everyone is signed in as `person`. Prints {"port": N} when ready; ends when standard input closes or on SIGTERM.
"""

import json
import secrets
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

SCOPES = {"read": "Read things", "write": "Write things"}


class Server(ThreadingMixIn, WSGIServer):
    """One thread a request, so concurrent refreshes really race."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """Writes no line for every request: a query may hold a code."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def sign_in(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware that signs everyone in as the one person there is."""
    from django.contrib.auth import get_user_model

    def middleware(request: Any) -> Any:
        request.user = get_user_model().objects.get(username="person")
        return get_response(request)

    return middleware


def configure(options: dict[str, Any], directory: Path) -> None:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": directory / "dot.sqlite3",
                "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
        MIDDLEWARE=[f"{__name__}.sign_in"],
        OAUTH2_PROVIDER={
            "ACCESS_TOKEN_EXPIRE_SECONDS": options["access_token_ttl"],
            "PKCE_REQUIRED": options["pkce_required"],
            "ROTATE_REFRESH_TOKEN": options["rotate"],
            "SCOPES": SCOPES,
        },
        # The package hashes client secrets with this; a slow hash would be the slowest part of a test.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=secrets.token_hex(32),
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        USE_TZ=True,
    )
    django.setup()


def fill(options: dict[str, Any]) -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0)
    get_user_model().objects.create_user("person", "person@example.com", options["password"])
    for client in options["clients"]:
        get_application_model().objects.create(
            name=client["client_id"],
            client_id=client["client_id"],
            client_secret=client["client_secret"],
            client_type="confidential",
            authorization_grant_type=client.get("authorization_grant_type", "authorization-code"),
            redirect_uris=" ".join(client["redirect_uris"]),
            skip_authorization=options["approval"] == "automatic",
        )


def urls() -> list[Any]:
    from django.http import HttpRequest, JsonResponse
    from django.urls import include, path
    from oauth2_provider.decorators import protected_resource

    @protected_resource(scopes=["read"])  # type: ignore[untyped-decorator]
    def me(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"sub": request.resource_owner.username})

    return [path("me", me), path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]


def main() -> None:
    options = json.loads(sys.argv[1])
    configure(options, Path(sys.argv[2]))
    fill(options)
    globals()["urlpatterns"] = urls()

    from django.core.wsgi import get_wsgi_application

    server = make_server("127.0.0.1", 0, get_wsgi_application(), server_class=Server, handler_class=Quiet)
    from oauth2_provider.settings import oauth2_settings

    oauth2_settings.OAUTH_DEVICE_VERIFICATION_URI = f"http://127.0.0.1:{server.server_port}/o/device/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)  # noqa: T201  # the ready line
    sys.stdin.read()


if __name__ == "__main__":
    main()
