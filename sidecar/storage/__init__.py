"""The stores: the only place that knows SQL or Redis."""
