"""Fakes that speak the real protocols and misbehave on demand; shipped for users' tests and used by ours."""
