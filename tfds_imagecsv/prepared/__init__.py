"""The dataset that is there."""
