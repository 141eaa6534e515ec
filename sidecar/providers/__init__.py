"""The OAuth APIs a token may go to, and their token endpoints."""
