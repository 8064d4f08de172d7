-- One script for every workload. Arguments after `--`: method, body file or "-", file of paths or "-", headers as name=value.
-- With a file of paths each thread walks through them; otherwise the request is fixed and wrk sends it as it is.
-- The last line of output is the run's result as JSON.

local function contents(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function init(args)
  wrk.method = args[1] or "GET"
  if args[2] and args[2] ~= "-" then
    wrk.body = contents(args[2])
  end
  for at = 4, #args do
    local name, value = args[at]:match("^([^=]+)=(.*)$")
    wrk.headers[name] = value
  end
  if args[3] and args[3] ~= "-" then
    local requests, at = {}, 0
    for path in contents(args[3]):gmatch("[^\n]+") do
      requests[#requests + 1] = wrk.format(wrk.method, path)
    end
    request = function()
      at = at % #requests + 1
      return requests[at]
    end
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"micros":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,'
      .. '"p50":%.1f,"p99":%.1f}\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
