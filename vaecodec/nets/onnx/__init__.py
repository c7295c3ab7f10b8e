"""The nets on onnxruntime: the default."""
