"""Transactions that wait for a block: what is let in, what must go, what pays best."""
