"""The documentation site: its pages, its pictures, and checks of what was built."""
