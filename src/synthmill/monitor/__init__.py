"""Monitors watch a run as a whole; they warn or stop it and never judge a row."""
