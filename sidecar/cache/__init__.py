"""Remembering and coalescing: inside one process, and the ports to agree across several."""
