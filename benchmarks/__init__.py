"""The sidecar and its peers, measured side by side on one machine in one run.

A rate alone says more about the machine than about the proxy, so nothing here is a number of its own: every
system gets the same requests, the same provider and the same core, in turn and several times over, and what
is reported are medians and ratios. `docs/guides/benchmarks.md` has the method and what is not comparable.

Scope: one machine, loopback. The sidecar is a process started by `sidecar serve`, like any other system here.
"""
