"""The tutorial's network: its own blocks, rules, node and datagrams."""
