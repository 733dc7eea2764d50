"""Build a release: packages, images, chart, manifests and what is needed to verify them."""
