"""The torch definition of the four nets."""
