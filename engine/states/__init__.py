"""What policies and worlds share where decisions move a state."""
