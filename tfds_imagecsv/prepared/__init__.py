"""The built dataset."""
