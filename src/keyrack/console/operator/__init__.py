"""Pages for a service account that watches the whole installation; no tenant's user sees them."""
