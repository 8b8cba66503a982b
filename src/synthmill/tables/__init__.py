"""Mathematics that table plugins share."""
