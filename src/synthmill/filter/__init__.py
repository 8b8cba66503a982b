"""Filters and the monitor: what is judged against the real data and against what was admitted before."""
