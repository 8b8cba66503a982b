"""Generators that simulate."""
