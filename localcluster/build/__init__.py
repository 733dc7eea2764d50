"""Programs and images, made from source."""
