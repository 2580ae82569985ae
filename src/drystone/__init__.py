"""The Bitcoin network you can hold in your hands."""
