"""What users may ask about themselves: `/v1/*` of the control listener."""
