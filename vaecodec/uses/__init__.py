"""What else the model knows of pictures: tools beside encoding and decoding, which know nothing of them."""
