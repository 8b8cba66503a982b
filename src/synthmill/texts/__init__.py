"""Mathematics of text: documents, pieces, shingles, similarity."""
