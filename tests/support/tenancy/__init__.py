"""Who may see and do what, of whose: one table, the resources and callers it speaks of, and requests that are valid."""
