"""What the process tells about itself: metrics, records, and the id that ties them together."""
