"""The verbs: one file each, each also a Python function."""
