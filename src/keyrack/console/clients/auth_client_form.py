"""Reads the forms of auth clients as the bodies that the API takes, and shows what is stored in them."""

from collections.abc import Iterable, Mapping, Sequence

from keyrack.console.clients.secret_fields import ENDS_ON, day_of, expiry_member
from keyrack.console.core.forms import Form, json_object
from keyrack.errors import BadRequest, Problem, ValidationFailed
from keyrack.model import Json
from keyrack.model.clients import OAUTH2_TYPES, AuthClient

INPUT = "input."
"""What the names of fields begin with that a provider profile asks for."""
OTHER = "other"
"""Stands for all types whose credentials are any object."""

SENDS_ISS = "authorization_response_iss_parameter_supported"
_TEXTS = ("client_id", "client_secret", "auth_uri", "token_uri", "refresh_token_uri", "revocation_uri", "issuer")
_NUMBERS = ("token_expires_in", "refresh_token_grace")
_CREDENTIALS = "/data/attributes/credentials"
COMPONENTS_POINTER = "/data/relationships/components/data"
FIELDS: Mapping[str, str] = {
    **{f"{_CREDENTIALS}/{name}": name for name in (*_TEXTS, *_NUMBERS, "client_auth", "pkce", SENDS_ISS)},
    f"{_CREDENTIALS}/provider_profile": "provider",
    f"{_CREDENTIALS}/registration": "issuer",
    _CREDENTIALS: "credentials",
    "/data/attributes/name": "name",
    "/data/attributes/type": "type",
    "/data/attributes/secret_expires_at": ENDS_ON,
    "/data/relationships/components": "components",
    **{f"/data/relationships/{kind}": "scope" for kind in ("tenant", "contract", "workspace")},
}
"""Fields by the pointers of what they are about."""

YES_OR_NO = (("", "As its metadata says"), ("yes", "Yes, always"), ("no", "No"))
_FLAGS = {"yes": True, "no": False}


def lines_of(form: Form, name: str) -> Sequence[str]:
    """Return what stands in the lines of a field."""
    return [line.strip() for line in form.get(name, "").splitlines() if line.strip()]


def new_data(form: Form, component_ids: Sequence[str], tenant_id: str | None) -> Json:
    """Return the data of the body that creates what a form says.

    Args:
        form: as it was sent.
        component_ids: of the components that it names.
        tenant_id: the visitor's tenant, if it has one.

    Raises:
        ValidationFailed: the credentials of another type are no JSON object.
    """
    kind = form.text("type")
    credentials = _new_credentials(form) if kind in OAUTH2_TYPES else any_object(form)
    relationships: Json = {"components": {"data": [{"type": "component", "id": each} for each in component_ids]}}
    scope, _, scope_id = form.text("scope").partition(":")
    if scope == "tenant" and tenant_id is not None:
        scope_id = tenant_id
    if scope != "global":
        relationships[scope if scope in ("tenant", "contract") else "workspace"] = {
            "data": {"type": scope if scope in ("tenant", "contract") else "workspace", "id": scope_id or "-"}
        }
    attributes = {"name": form.text("name"), "type": kind, "credentials": credentials, **expiry_member(form)}
    return {"type": "auth-client", "attributes": attributes, "relationships": relationships}


def changed_data(form: Form, client: AuthClient, component_ids: Sequence[str]) -> Json:
    """Return the data of the body that makes a client what a form says, its secret apart.

    Args:
        form: as it was sent.
        client: as it is.
        component_ids: of the components that the form names.
    """
    attributes: Json = {"name": form.text("name"), **expiry_member(form, client.expiry.at)}
    if client.type in OAUTH2_TYPES and (credentials := _changed_credentials(form, client.credentials)):
        attributes["credentials"] = credentials
    data: Json = {"type": "auth-client", "attributes": attributes}
    if sorted(component_ids) != sorted(client.component_ids):
        data["relationships"] = {"components": {"data": [{"type": "component", "id": each} for each in component_ids]}}
    return data


def secret_data(form: Form, client: AuthClient) -> Json:
    """Return the data of the body that gives a client another secret: of other types, all of its credentials.

    Raises:
        ValidationFailed: there is no secret in the form.
    """
    if client.type not in OAUTH2_TYPES:
        credentials = any_object(form)
    elif form.get("client_secret", "").strip():
        credentials = {"client_secret": form["client_secret"]}
    else:
        raise ValidationFailed(Problem("enter the new secret", f"{_CREDENTIALS}/client_secret"))
    return {"type": "auth-client", "attributes": {"credentials": credentials, **expiry_member(form)}}


def stored_values(client: AuthClient) -> Mapping[str, str]:
    """Return the values of the fields with which a client is changed."""
    given = client.credentials if client.type in OAUTH2_TYPES else {}
    sends_iss = given.get(SENDS_ISS)
    return {
        "name": client.name,
        "client_auth": str(given.get("client_auth") or ""),
        "pkce": "" if given.get("pkce") is False else "on",
        "issuer": str(given.get("issuer") or ""),
        SENDS_ISS: "" if sends_iss is None else "yes" if sends_iss else "no",
        **{name: str(given.get(name, "")) for name in _NUMBERS},
        ENDS_ON: day_of(client.expiry.at),
    }


def fields_of_inputs(names: Iterable[str]) -> Mapping[str, str]:
    """Return fields by pointers, as `FIELDS`, for what a provider profile asks for."""
    return {f"{_CREDENTIALS}/inputs/{name}": f"{INPUT}{name}" for name in names}


def any_object(form: Form) -> Json:
    """Return the credentials of a type that takes any object.

    Raises:
        ValidationFailed: it is no JSON that can be kept, or no object.
    """
    try:
        return json_object(form.get("credentials", ""), '{"api_key": "..."}')
    except BadRequest as error:
        raise ValidationFailed(Problem(str(error), _CREDENTIALS)) from None


def _new_credentials(form: Form) -> Json:
    found: Json = {name: form.text(name) for name in (*_TEXTS, *_NUMBERS, "client_auth") if form.text(name)}
    if form.get("client_secret"):
        found["client_secret"] = form["client_secret"]  # with its spaces
    if not form.get("pkce"):
        found["pkce"] = False
    if form.get("registration"):
        found["registration"] = {}
    if form.text(SENDS_ISS) in _FLAGS:
        found[SENDS_ISS] = _FLAGS[form.text(SENDS_ISS)]
    if form.text("provider"):
        found["provider_profile"] = form.text("provider")
        given = {name.removeprefix(INPUT): form.text(name) for name in form if name.startswith(INPUT)}
        found["inputs"] = {name: value for name, value in given.items() if value}
    return found


def _changed_credentials(form: Form, stored: Json) -> Json:
    changed: Json = {}
    for name in ("client_auth", *_NUMBERS):
        if form.text(name) != str(stored.get(name) or "" if name == "client_auth" else stored.get(name, "")):
            changed[name] = form.text(name) or None
    if (form.get("pkce") == "on") != (stored.get("pkce") is not False):
        changed["pkce"] = form.get("pkce") == "on"
    if "issuer" not in stored and form.text("issuer"):
        changed["issuer"] = form.text("issuer")
    wanted = _FLAGS.get(form.text(SENDS_ISS))
    if wanted is not stored.get(SENDS_ISS):
        changed[SENDS_ISS] = wanted
    return changed
