"""What operators may do: `/admin/v1/*` of the control listener."""
