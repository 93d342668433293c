"""Pages about first-generation credentials."""
