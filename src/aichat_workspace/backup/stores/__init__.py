"""Where backups are: a volume, or an S3-compatible store."""
