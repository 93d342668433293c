"""Pages that say how far a consent is that a browser began, whichever way it ends."""

import json
from functools import partial
from typing import Any

from litestar import Request, Response

from keyrack.api.core.middleware import request_id_of
from keyrack.api.core.pages import (
    PRIVATE,
    Brand,
    Explanation,
    PageReport,
    cookie_header,
    page,
    problem_page,
)
from keyrack.api.core.qr_code import qr_code
from keyrack.service.consents.device_progress import DeviceProgress
from keyrack.service.consents.values import ConsentOutcome

NOT_CONNECTED = "The account was not connected"
START_AGAIN = "Nothing was stored. You can start connecting again from where you came from."

_CONNECTED = "The account is connected"
_STILL_CONNECTING = Explanation(
    "Still connecting",
    "This connection is being finished already: this page was opened a second time.",
    "It looks again by itself; nothing is done twice.",
    mood="plain",
)
_LOOK_AGAIN = 3
"""Seconds after which a browser looks again whether another delivery is done."""
_LOOK = "x-keyrack-look"
"""Header with which the script of a device's page asks whether there is something new."""


def leads_elsewhere(outcome: ConsentOutcome) -> bool:
    """Tell whether the browser is sent on at once, without a page."""
    done = outcome.error is None and outcome.report is None and not outcome.under_way
    return done and outcome.return_url is not None


def outcome_page(outcome: ConsentOutcome, reference: str | None, brand: Brand) -> Response[Any]:
    """Return the page that says how a consent ended, or send the browser on.

    Args:
        outcome: how it did.
        reference: the request's id.
        brand: what stands around the page.
    """
    headers, report = cookie_header(outcome.cookie), _report(outcome)
    if outcome.under_way:
        return problem_page(202, _STILL_CONNECTING, {"refresh": str(_LOOK_AGAIN)}, brand=brand)
    if outcome.error is not None:
        told = Explanation(
            NOT_CONNECTED, outcome.error, START_AGAIN, reference, outcome.said, return_url=outcome.return_url
        )
        return problem_page(400, told, headers, report, brand)
    shown = partial(page, "callback.html", 200, _CONNECTED, mood="good", headers=headers, brand=brand)
    if report is not None:
        return shown(script="report.js", report=report)
    if outcome.return_url is not None:
        return Response(None, status_code=303, headers={"location": outcome.return_url, **PRIVATE, **headers})
    return shown(script="close.js", report=None)


def device_page(progress: DeviceProgress, request: Request[Any, Any, Any], brand: Brand) -> Response[Any]:
    """Return the page with a device's code, which looks by itself whether somebody has agreed; then how that ended.

    Args:
        progress: how far it is.
        request: of the browser that began it.
        brand: what stands around the page.
    """
    if progress.outcome is not None:
        if _LOOK in request.headers:
            return Response(None, status_code=205, headers=PRIVATE)
        return outcome_page(progress.outcome, request_id_of(request.scope), brand)
    codes = progress.codes
    if codes is None or _LOOK in request.headers:
        return Response(None, status_code=204, headers=PRIVATE)
    return page(
        "device.html",
        200,
        "Enter this code",
        script="device.js",
        brand=brand,
        codes=codes,
        told=progress.told,
        picture=qr_code(codes.verification_uri_complete or codes.verification_uri),
        until=f"{progress.expires_at:%d %B %Y, %H:%M} UTC",
    )


def _report(outcome: ConsentOutcome) -> PageReport | None:
    told = outcome.report
    if told is None:
        return None
    return PageReport(told.origin, json.dumps(dict(told.facts)), outcome.return_url)
