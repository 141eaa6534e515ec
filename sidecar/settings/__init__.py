"""The configuration: its model, its sources, its check."""
