"""The disk: a chain's blocks in files, an index of them, and its coins in RocksDB."""
