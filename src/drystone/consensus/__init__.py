"""Bitcoin's rules, pure: given bytes and the coins they spend, valid, or which rule is broken."""
