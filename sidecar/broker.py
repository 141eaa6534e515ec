"""From a proven caller and what it asks for to a live access token."""
