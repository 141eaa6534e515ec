"""The whole house put together: the one place that knows every class and every setting."""
