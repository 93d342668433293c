"""Finds members of a component.json that nothing reads and that are almost, or elsewhere, members that are read.

Everything unknown is kept (contract 0.9), so a misspelt `useOAuthClient` would be without a word.
"""

from collections.abc import Iterator, Mapping

from keyrack.descriptor.oauth_blocks import OAUTH1_MEMBERS, OAUTH2_MEMBERS
from keyrack.errors import Problem
from keyrack.validation.known_names import close_to
from keyrack.validation.pointer import join

_TOP = (
    "title", "description", "actions", "triggers", "buildType", "deprecated", "docsUrl", "version", "envVars", "env",
    "useOAuthClient", "authClientTypes", "credentials", "oauth2", "oauth1", "icon", "service", "language", "fields",
)  # fmt: skip
_CREDENTIALS = ("fields", "oauth2", "oauth1", "useOAuthClient", "verifier")
_FIELD = (
    "label", "viewClass", "required", "placeholder", "note", "prompt", "prefix", "suffix", "model", "require",
)  # fmt: skip
_VARIABLE = ("required", "description")
_VIEW_CLASSES = (
    "TextFieldView", "TextFieldWithNoteView", "TextAreaView", "TextAreaWithNoteView", "TextView", "PasswordFieldView",
    "CheckBoxView", "SelectView", "MultiSelectView", "OAuthFieldView", "HTTPAuthView", "WebhookAuthView",
    "CodeFieldView", "SelectTreeView", "SelectPropertyView", "JSONataView",
)  # fmt: skip
_ELSEWHERE = {
    "": dict.fromkeys(("client_id", "client_secret", "auth_uri", "token_uri", "client_auth", "scopes"), "in oauth2"),
    "credentials": dict.fromkeys(("envVars", "env", "authClientTypes", "actions", "triggers"), "at the top level"),
    "oauth2": dict.fromkeys(("useOAuthClient", "envVars", "authClientTypes"), "at the top level")
    | {"fields": "in credentials"},
}
"""Members that stand in the wrong place, and where they belong."""
_MAX_COMPARED = 200
_MAX_NAME = 60


def misspelt(raw: Mapping[str, object]) -> Iterator[Problem]:
    """Yield members with a name that is close to a known one, or that belong elsewhere, each with its pointer.

    Args:
        raw: a component.json; members of a wrong type are passed over.
    """
    left = _MAX_COMPARED
    for owner, pointer, known, place in _objects(raw):
        for name in owner:
            if name in known or len(name) > _MAX_NAME:
                continue
            if belongs := _ELSEWHERE.get(place, {}).get(name):
                yield Problem(f"is not read here; it belongs {belongs}", join(pointer, name))
            elif left > 0 and (meant := close_to(name, known)):
                unread = "is only sent to the provider as a parameter" if place == "oauth2" else "is not read"
                yield Problem(f"{unread}; {meant} is probably meant", join(pointer, name))
            left -= 1
        view_class = owner.get("viewClass") if place == "field" else None
        if isinstance(view_class, str) and view_class not in _VIEW_CLASSES and left > 0 and len(view_class) < _MAX_NAME:
            left -= 1
            if meant := close_to(view_class, _VIEW_CLASSES):
                detail = f"is no view class, so the field is taken for text; {meant} is probably meant"
                yield Problem(detail, join(pointer, "viewClass"))


def _objects(raw: Mapping[str, object]) -> Iterator[tuple[Mapping[str, object], str, tuple[str, ...], str]]:
    """Yield the objects whose members are read: itself, its pointer, the known members, and which place it is."""
    yield raw, "", _TOP, ""
    credentials = raw.get("credentials")
    if isinstance(credentials, Mapping):
        yield credentials, "/credentials", _CREDENTIALS, "credentials"
    for owner, base in ((credentials, "/credentials"), (raw, "")):
        if not isinstance(owner, Mapping):
            continue
        for block, known in (("oauth2", OAUTH2_MEMBERS), ("oauth1", OAUTH1_MEMBERS)):
            members = owner.get(block)
            if isinstance(members, Mapping):
                yield members, f"{base}/{block}", known, block
    fields = credentials.get("fields") if isinstance(credentials, Mapping) else None
    kinds: tuple[tuple[object, str, tuple[str, ...], str], ...] = (
        (fields, "/credentials/fields", _FIELD, "field"),
        (raw.get("envVars"), "/envVars", _VARIABLE, "variable"),
    )
    for groups, base, names, place in kinds:
        for name, member in groups.items() if isinstance(groups, Mapping) else ():
            if isinstance(member, Mapping):
                yield member, join(base, name), names, place
