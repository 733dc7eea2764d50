"""Write the bundle for a site without internet: images, models, chart and manifests in one file."""
