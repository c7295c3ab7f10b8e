"""What a model is: its sizes, layers, rates and file; without torch."""
