"""Bitcoin networks as pytest fixtures: `network` in virtual time, `live_network` over TCP."""
