"""Who owns what: user shards, the catalog, and the way of a command to its user."""
