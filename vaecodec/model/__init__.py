"""Models without torch: configuration, layers, rates and files."""
