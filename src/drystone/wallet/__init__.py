"""What accounts own and how they spend it: keys, coins, selection, signatures. Play money only."""
