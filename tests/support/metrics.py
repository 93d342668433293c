"""Metrics as Prometheus reads them."""


def numbers(text: str) -> dict[str, float]:
    """Return the value of every sample by its name with labels, as written."""
    samples = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in samples}
