"""Who may do what and where: permissions, places, and what limits every operation."""
