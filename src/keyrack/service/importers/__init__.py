"""Takes in what was stored elsewhere, and writes out what is stored here."""
