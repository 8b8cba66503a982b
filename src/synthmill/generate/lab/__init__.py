"""Generators whose fate under training on their own output is known in closed form."""
