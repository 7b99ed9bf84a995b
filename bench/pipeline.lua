-- SPDX-License-Identifier: MIT
-- wrk: send `depth` GET requests at once, and again when all responses have come.
--   wrk -s bench/pipeline.lua http://127.0.0.1:8080/plaintext -- 16
-- The batch is made once, so a turn costs one call into Lua; with a depth of 1 none. At the end comes
-- one line with exact figures for bench/run.

function init(args)
    local depth = tonumber(args[1] or "1")
    if depth > 1 then
        local batch = string.rep(wrk.format(nil, nil), depth)
        request = function()
            return batch
        end
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("EXACT requests=%d microseconds=%d bytes=%d errors=%d\n",
        summary.requests, summary.duration, summary.bytes,
        errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
