"""HTTP to authorization servers: what may be called, how it is called, and what its failures mean."""
