"""The models of each workspace: downloaded, made and removed as they are desired."""
