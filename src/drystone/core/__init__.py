"""What every core is given from outside: time and chance."""
