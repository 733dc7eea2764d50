"""What pages show of the API's documents: pure, from a document and the present time to a view."""
