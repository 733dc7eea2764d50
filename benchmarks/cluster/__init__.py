"""Set up a control plane with its population, and watch its objects."""
