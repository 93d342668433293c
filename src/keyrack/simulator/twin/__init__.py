"""Plays any provider by its profile: accepts exactly what the profile says, and refuses everything else by name.

Of Keyrack it knows the structure of a profile (`keyrack.oauth.profiles.model` and its parts) and nothing else: what a
profile means is read here a second time, from its documentation (docs/providers.md). If the code that builds requests,
or the one that reads answers, were used here too, its mistakes would cancel out and no test could see them;
import-linter forbids it.
"""
