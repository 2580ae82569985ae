"""Bitcoin's wire protocol as state machines: messages, transport, peers, addresses, downloads."""
