"""A reverse-proxy token injector: a user's JWT comes in, that user's provider token goes out."""

__version__ = "0.1.0"
