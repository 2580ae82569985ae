"""State with a history: the tree of blocks, the coins of its best branch, and ways between."""
