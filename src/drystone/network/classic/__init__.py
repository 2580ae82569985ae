"""The tutorial's network as a whole: live over UDP, or in virtual time."""
