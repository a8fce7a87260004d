"""From a Python function to the typed IR."""
