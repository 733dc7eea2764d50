"""Pages of docs/ that are generated from the code beside the reference."""
