"""The parts of the node."""
