"""Tools that the subjects share."""
