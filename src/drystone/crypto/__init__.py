"""The curve, and the encodings that people copy and paste: nothing that Bitcoin decides."""
