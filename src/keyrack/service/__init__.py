"""Use cases: authorise, act, audit, in one transaction. One file per resource."""
