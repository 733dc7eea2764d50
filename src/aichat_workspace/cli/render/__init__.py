"""What is shown: documents in, lines out. Everything here is pure."""
