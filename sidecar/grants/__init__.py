"""Users' consents: their life, their choice, their sealing, their refresh."""
