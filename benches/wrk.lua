-- The requests that wrk sends: each path in turn; where there is a body, as a POST with an idempotency key of its own.
-- Arguments: API key, prefix of the idempotency keys, file of paths, body.

local KEY = "@idempotency-key@"
local requests, prefix, sent = {}, "", 0

-- A request around its idempotency key.
local function split(request)
    local start, stop = request:find(KEY, 1, true)
    return { request:sub(1, start - 1), request:sub(stop + 1) }
end

function init(args)
    local body = args[4]
    local headers = { ["Authorization"] = "Bearer " .. args[1] }
    prefix = args[2]
    if body then
        headers["Content-Type"] = "application/json"
        headers["Idempotency-Key"] = KEY
    end
    for path in io.lines(args[3]) do
        local request = wrk.format(body and "POST" or "GET", path, headers, body)
        requests[#requests + 1] = body and split(request) or request
    end
end

function request()
    sent = sent + 1
    local request = requests[(sent - 1) % #requests + 1]
    if type(request) == "string" then
        return request
    end
    return request[1] .. prefix .. sent .. request[2]
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests":%d,"errors":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f}',
        summary.requests,
        errors.connect + errors.read + errors.write + errors.timeout + errors.status,
        summary.duration / 1e6,
        latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3
    ))
end
