"""What a user holds: a whole network, live or in virtual time."""
