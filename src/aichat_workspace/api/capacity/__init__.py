"""What is used, what may be chosen, and what would fit."""
