"""Telling tenants what happened to their secrets and clients: webhooks in the Standard Webhooks format."""
