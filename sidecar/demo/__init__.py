"""Everything in one process, to see the main job done."""
