"""The operators' surface of the control listener."""
