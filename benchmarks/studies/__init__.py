"""Scripts that each answer one question; none of them is installed."""
