"""Bring a bundle of images and models into the registry of a site without internet."""
