"""The documentation site: its pages, and checks of what was built."""
