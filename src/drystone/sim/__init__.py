"""Virtual time: the same cores on simulated links, replayable from a seed."""
