"""Experiments on a spec: what becomes of a generator trained on its own output, and how much synthetic data pays."""
