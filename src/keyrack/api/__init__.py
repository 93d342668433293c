"""HTTP, thin: documents in and out, one file per resource."""
