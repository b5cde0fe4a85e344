-- Posts one note, over and over, and prints what was seen as a line of JSON.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"text": "' .. string.rep("x", 289) .. '"}'

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format(
    '{"peer": "%s", "version": "%s", "connections": 64, "commands_per_second": %.0f, "errors": %d, "p50_ms": %.2f, "p99_ms": %.2f}',
    os.getenv("PEER"), os.getenv("VERSION"), summary.requests / summary.duration * 1e6, failed,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
