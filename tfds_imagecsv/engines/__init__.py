"""Where heavy work is done."""
