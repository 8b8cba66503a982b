"""Talking to language models: the only network code."""
