"""Initial weights: a block transform, or those of another model, grown or narrowed."""
