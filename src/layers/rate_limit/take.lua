-- Takes one request out of the quota of a key, and returns what had been taken before: the arithmetic is that of `Quota::take`, in
-- whole microseconds, which the numbers of Lua hold exactly. By the server's clock: those of the processes do not matter.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, whole = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = tonumber(redis.call('GET', KEYS[1]) or '') or now
local ahead = math.max(arrival - now, 0)
-- What lies further ahead than a burst was of another clock.
local taken = math.min(ahead, whole)
local after = taken
if whole - taken >= interval then
  after = taken + interval
end
if after ~= ahead then
  redis.call('SET', KEYS[1], string.format('%.0f', now + after), 'PX', string.format('%.0f', math.ceil(after / 1000)))
end
return taken
