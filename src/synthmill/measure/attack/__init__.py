"""Attacks on a synthetic table: each plays somebody who holds it and wants to know something about a real person."""
