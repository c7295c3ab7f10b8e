"""The contents of a file besides latents: alpha, metadata, and images kept losslessly or as a JPEG."""
