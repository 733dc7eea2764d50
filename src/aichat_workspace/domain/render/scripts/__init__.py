"""Programs that run in other images: rendered as text, imported by tests alone."""
