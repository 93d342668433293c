"""Other servers that answer the same requests: what Keyrack is measured beside."""
