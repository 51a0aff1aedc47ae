"""Generators: what draws images, how it is trained, and how it is guided on the way."""
