"""Contains an incident: freezes grants, has them revoked or exchanged, and says of each what is dead (decision 47)."""
