"""One question a script; none of it is installed."""
