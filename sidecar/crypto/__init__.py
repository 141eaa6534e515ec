"""Keys, seals and keyed names."""
