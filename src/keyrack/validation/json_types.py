"""Names the types of JSON values as JSON does (RFC 8259 section 3), never as Python does."""

A_STRING, A_NUMBER, A_BOOLEAN = "a string", "a number", "true or false"
AN_ARRAY, AN_OBJECT, NULL = "an array", "an object", "null"


def json_type(value: object) -> str:
    """Return what a parsed JSON value is, for a sentence: `a string`, `an object`, `true or false` ..."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return A_BOOLEAN
    if isinstance(value, str):
        return A_STRING
    if isinstance(value, int | float):
        return A_NUMBER
    return AN_ARRAY if isinstance(value, list | tuple) else AN_OBJECT


def wrong_type(expected: str, value: object) -> str:
    """Return what to say of a value of the wrong type, such as `must be a string, not a number`.

    Args:
        expected: what it must be.
        value: what it is; only its type is shown.
    """
    is_one = json_type(value)
    return f"must be {expected}" if is_one in expected else f"must be {expected}, not {is_one}"
