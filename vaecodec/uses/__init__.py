"""What else the model of pictures in a codec is good for; the codec knows nothing of it."""
