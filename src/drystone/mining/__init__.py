"""Mining: what goes into a block, how its nonce is looked for, and how fast."""
