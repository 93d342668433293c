"""Provider profiles: how each provider wants to be talked to, as data."""
