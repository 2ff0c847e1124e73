"""Files to raw tables."""
