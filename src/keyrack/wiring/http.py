"""Builds the HTTP application on the use cases."""

from dataclasses import fields
from typing import cast

from keyrack import clock
from keyrack.api import app as api_app
from keyrack.api.core.asgi import App
from keyrack.api.core.caller_address import CallerAddress
from keyrack.api.core.middleware import Middleware
from keyrack.api.core.rate_limits import Rates, Throttle
from keyrack.api.core.slow_bodies import SlowBodies
from keyrack.api.fast_read import FastRead
from keyrack.api.routes import HANDLERS, WATCHING
from keyrack.clock import Clock
from keyrack.console.core.requests import Console
from keyrack.console.routes import CONSOLE
from keyrack.settings import Settings
from keyrack.store.core.store import Store
from keyrack.wiring.services import Services, build_services
from keyrack.wiring.storage import open_store
from keyrack.wiring.worker import running


def rates(settings: Settings) -> Rates:
    """Return what the settings say about requests a minute."""
    return Rates(
        caller=settings.rate_limit,
        tenant=settings.rate_limit_tenant,
        address=settings.rate_limit_address,
        wrong_keys=settings.wrong_keys_limit,
        wrong_passwords=settings.wrong_passwords_limit,
    )


def serve_with(store: Store, made: Services, settings: Settings, *, works: bool = False, api: bool = True) -> App:
    """Put the HTTP application in front of use cases; it closes them and the store when the server stops."""
    throttle = Throttle(rates(settings))
    names = {member.name: getattr(made, member.name) for member in fields(made)}
    console = Console(made.console_sign_in, throttle, settings.public_url)
    names |= {"store": store, "throttle": throttle, "console": console}
    parts = api_app.ApplicationParts((*HANDLERS, CONSOLE) if api else WATCHING, names, console.root)
    front = Middleware(
        cast("App", api_app.create_application(parts, running(store, made, settings, works=works, api=api))),
        made.authentication,
        throttle,
        CallerAddress(settings.trusted_proxies, settings.trusted_proxy_header),
        FastRead(made.fast_reads) if api else None,
        metrics_open=settings.metrics_open,
        trace_parents=settings.trace_parents,
        over_tls=settings.over_tls,
    )
    return SlowBodies(front, settings.body_timeout)


def application(settings: Settings, now: Clock = clock.now, *, works: bool = False, api: bool = True) -> App:
    """Build the whole HTTP application.

    Args:
        settings: as loaded.
        now: the time.
        works: whether it runs the background worker too.
        api: whether it has the API; else it answers only how it is doing.

    Raises:
        ConfigurationError: the settings cannot be used.
    """
    store = open_store(settings, now)
    return serve_with(store, build_services(store, settings, now), settings, works=works, api=api)
