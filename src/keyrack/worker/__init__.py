"""Work in the background: what is due, without anyone asking."""
