"""The web console at `/console`: server-rendered pages for people, on the use cases that the API has too."""
