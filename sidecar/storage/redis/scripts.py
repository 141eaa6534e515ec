"""The steps that Redis must do as one, in Lua.

A version stands before its value as `<version>:`, so comparing versions is comparing a prefix and the rest
may be any bytes. What can be refused comes first: PUBLISH (an ACL without the channel) stands before the
write, because Redis does not take back what a failed script already wrote. Nobody hears the message before
the script has ended.

Scope: the texts. Each has one key, the user's hash where nothing else is said.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua text and the name the server keeps it under; SHA-1 is the protocol's choice, not ours."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


# ARGV: channel, user tag, revision, grant id, value
ADD = Script("""
local revision = redis.call('HGET', KEYS[1], 'rev') or '0'
if revision ~= ARGV[3] or redis.call('HEXISTS', KEYS[1], ARGV[4]) == 1 then return 0 end
redis.call('PUBLISH', ARGV[1], ARGV[2])
redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
redis.call('HINCRBY', KEYS[1], 'rev', 1)
return 1
""")

# ARGV: channel, user tag, version the kept record must have, grant id, value, note field
REPLACE = Script("""
local kept = redis.call('HGET', KEYS[1], ARGV[4])
local prefix = ARGV[3] .. ':'
if not kept or string.sub(kept, 1, #prefix) ~= prefix then return 0 end
redis.call('PUBLISH', ARGV[1], ARGV[2])
redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
redis.call('HDEL', KEYS[1], ARGV[6])
redis.call('HINCRBY', KEYS[1], 'rev', 1)
return 1
""")

# ARGV: channel, user tag, grant id, note field
REMOVE = Script("""
if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 0 then return 0 end
redis.call('PUBLISH', ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[1], ARGV[3], ARGV[4])
redis.call('HINCRBY', KEYS[1], 'rev', 1)
return 1
""")

# ARGV: grant id, note field, version, now, until
BEGIN_SPENDING = Script("""
local kept = redis.call('HGET', KEYS[1], ARGV[1])
local prefix = ARGV[3] .. ':'
if not kept or string.sub(kept, 1, #prefix) ~= prefix then return 'stale' end
local note = redis.call('HGET', KEYS[1], ARGV[2])
if note and string.sub(note, 1, #prefix) == prefix then
    local ends = tonumber(string.sub(note, #prefix + 1))
    if ends > tonumber(ARGV[5]) then redis.call('HSET', KEYS[1], ARGV[2], prefix .. ARGV[5]) end
    if ends > tonumber(ARGV[4]) then return 'standing' end
end
redis.call('HSET', KEYS[1], ARGV[2], prefix .. ARGV[5])
return 'started'
""")

# ARGV: note field, version
END_SPENDING = Script("""
local note = redis.call('HGET', KEYS[1], ARGV[1])
local prefix = ARGV[2] .. ':'
if note and string.sub(note, 1, #prefix) == prefix then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
""")

# Key: the app's values. ARGV: name, value
WRITE_ONCE = Script("""
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
""")

# Key: the lease. ARGV: owner, milliseconds
RENEW = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")

# Key: the lease. ARGV: owner
RELEASE = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")
