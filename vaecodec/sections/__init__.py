"""What a file holds besides latents: alpha, metadata, and images that are smaller as they were."""
