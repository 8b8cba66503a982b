"""Metrics: numbers with intervals."""
