"""The opcodes by kind, one function for each, and the table that finds them."""
