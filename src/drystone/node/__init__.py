"""A full node without a world: chain, mempool, peers and miner joined behind one door."""
