"""Which quality, and which form of file, meets a target or keeps a promise."""
