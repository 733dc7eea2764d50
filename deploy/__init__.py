"""Deploy to an environment: apply, wait, test, and go back to the release before when it fails."""
