"""Finding anything by an id or a name."""
