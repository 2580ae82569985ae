"""Hash-rate budgets: how a miner spends its hashes over time."""
