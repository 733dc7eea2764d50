"""The model server and the chat of each workspace, kept as desired beside reconciliation."""
