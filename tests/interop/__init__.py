"""Our nodes among others: real processes, and peers that are none of our code."""
