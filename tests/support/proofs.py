"""Names what an ordinary run of the tests leaves out."""

ONLY_WHEN_NAMED = (
    "attack",
    "bench_checks",
    "chaos",
    "deploy",
    "docs",
    "guides",
    "high_availability",
    "key_proofs",
    "race",
    "rotation_load",
    "test_demo.py",
    "test_every_page.py",
    "test_twins_of_imported_profiles.py",
    "upgrades",
)
"""What `make test` leaves out and `make proofs` runs, by the last part of its path; some have an own command too."""
