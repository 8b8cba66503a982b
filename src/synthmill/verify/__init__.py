"""Verifiers: each looks at the row alone."""
