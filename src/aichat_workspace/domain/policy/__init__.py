"""What a workspace may have, and what a problem blocks."""
