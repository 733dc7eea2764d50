"""Programs that run beside ours, and locks between processes."""
