"""Secrets at rest: values that cannot print, sealed envelopes, the keys that seal them."""
