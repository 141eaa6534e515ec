-- Send the requests of one list in its order, and print what came of it as one line of JSON.
--
-- Arguments after wrk's own: the file with one JWT per line, the request target, the mean pause in
-- milliseconds that a connection makes between two requests (0: none), and what happens at the end of the
-- list: `again` or `end`.

local ffi = require("ffi")
ffi.cdef [[
typedef struct { long seconds, nanoseconds; } instant;
int clock_gettime(int clock, instant *now);
int getpid(void);
int kill(int pid, int signal);
]]
local MONOTONIC, SIGINT = 1, 2

local heads, sent = {}, 0
local at_end, began = "again", nil
local threads = {}
-- Read from outside of the thread, so not local.
elapsed_us = 0

local function now_us()
   local now = ffi.new("instant")
   ffi.C.clock_gettime(MONOTONIC, now)
   return tonumber(now.seconds) * 1e6 + tonumber(now.nanoseconds) / 1e3
end

function setup(thread)
   threads[#threads + 1] = thread
end

function init(args)
   local front = "GET " .. args[2] .. " HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
   for jwt in io.lines(args[1]) do
      heads[#heads + 1] = front .. "Authorization: Bearer " .. jwt .. "\r\n\r\n"
   end
   at_end = args[4]
   local pause = tonumber(args[3])
   if pause > 0 then
      math.randomseed(1)
      -- Spread around the mean: with one and the same pause all connections would ask in the same instant.
      function delay()
         return math.random(1, 2 * pause - 1)
      end
   end
end

function request()
   began = began or now_us()
   sent = sent + 1
   if sent > #heads then
      sent = 1
      if at_end == "end" and elapsed_us == 0 then
         elapsed_us = now_us() - began
         wrk.thread:stop()
         -- wrk's main thread sleeps out its time unless it is interrupted.
         ffi.C.kill(ffi.C.getpid(), SIGINT)
      end
   end
   return heads[sent]
end

function done(summary, latency)
   -- One thread is all we use.
   local measured = threads[1]:get("elapsed_us")
   local errors = summary.errors
   local form = '\nRESULT {"requests": %d, "microseconds": %d, "failed": %d, "refused": %d, '
      .. '"p50_us": %d, "p99_us": %d, "is_whole": %s}\n'
   io.write(string.format(
      form, summary.requests, measured > 0 and measured or summary.duration,
      errors.connect + errors.read + errors.write + errors.timeout, errors.status,
      latency:percentile(50), latency:percentile(99), tostring(measured > 0)))
end
