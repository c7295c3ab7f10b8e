"""Training: data, loss, loop, export. The only part that imports compressai."""
