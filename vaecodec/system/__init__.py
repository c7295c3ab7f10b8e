"""Files, names, worker processes, threads and signals."""
