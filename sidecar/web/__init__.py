"""What the aiohttp surfaces share: problem documents and health."""
