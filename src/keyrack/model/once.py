"""What a form carries that may be sent twice, so that it makes one thing."""

from dataclasses import dataclass, field

from keyrack.crypto.secret import Secret


@dataclass(frozen=True, slots=True)
class Once:
    """Chosen when the form is shown, and the same however often it is sent.

    Attributes:
        id: of the thing to be made, which nothing else has.
        seed: 256 random bits that are stored nowhere; of a thing with a secret the secret is made of them, so that
            whoever sent the form twice is shown it all the same.
    """

    id: str
    seed: Secret = field(repr=False)
