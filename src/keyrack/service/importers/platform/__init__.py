"""Moving an installation: what `keyrack import platform` and `keyrack export platform` do (docs/import.md)."""
