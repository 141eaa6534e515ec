"""The shared engine: records, leases, nonces and changes over Redis 6.2 or newer, one server.

The keys of an app, the app's name percent-encoded so that it can hold neither braces nor wildcards:

    grant-sidecar:<app>:{<user tag>}:grants       hash: `rev`, `<grant id>` -> `<version>:<sealed bytes>`,
                                                  `n:<grant id>` -> `<version>:<until>`
    grant-sidecar:<app>:{<user tag>}:lease:<id>   the owner of a lease, with an expiry of its own
    grant-sidecar:<app>:nonce:<random>            claimed, with an expiry of its own
    grant-sidecar:<app>:meta                      hash: values of the whole app
    grant-sidecar:<app>:changes                   channel: tags of changed users
    grant-sidecar:<app>:beat:<random>             channel: one process's heartbeat to itself

The braces are a Cluster hash tag: all of one user is in one slot, so a script may touch it in one step.
"""
