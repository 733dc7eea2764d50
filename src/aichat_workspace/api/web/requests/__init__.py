"""What a request is, before a route reads it."""
