"""component.json: parsed, validated, its templates and its link to environment variables (contract section 19)."""
