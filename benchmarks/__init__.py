"""Rate-distortion benchmarks: codecs, metrics, measurement, results."""
