"""Teams: who belongs to one, and the tokens of its scripts."""
