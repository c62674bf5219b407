"""Which record goes into which shard."""
