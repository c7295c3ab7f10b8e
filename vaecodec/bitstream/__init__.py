"""From symbols to bytes and back: integer tables, range coder, container."""
