"""Models, patterns and tools: names, status, and what to do about them."""
