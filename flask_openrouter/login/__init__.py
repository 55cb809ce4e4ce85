"""Everything between the two requests of a login: its owner, its state, and where its key waits."""
