"""Deletes users, contracts and workspaces with all that is theirs."""
