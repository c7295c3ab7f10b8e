"""The nets as the codec sees them: numpy in and out, onnxruntime or torch behind."""
