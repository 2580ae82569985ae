"""All input and output: sockets, threads, the clock."""
