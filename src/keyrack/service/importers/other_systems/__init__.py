"""Brings clients and grants over from other systems: `keyrack import nango` and the like (docs/migrating.md)."""
