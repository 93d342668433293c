"""Tenants, contracts, workspaces and teams, and who belongs to them."""
