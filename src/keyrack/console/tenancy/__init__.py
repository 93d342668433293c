"""Pages of contracts, members, invites and roles."""
