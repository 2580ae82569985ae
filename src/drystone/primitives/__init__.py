"""What Bitcoin's data are, down to the byte."""
