-- KEYS: stream. ARGV: window in ms, the key of the first window, then names (no more than PASSED_ON_MAX).
-- Gives the hash in which to claim now, when it may expire, and for each name whether it is claimed, as
-- one text of 0 and 1. Says what is wrong if nothing can be appended to the stream.
local problem = append_problem(KEYS[1], 0)
if problem then return problem end
local window_ms, prefix = tonumber(ARGV[1]), string.sub(ARGV[2], 1, -2)
local number = math.floor(now_ms() / window_ms)
local key = prefix .. text_of(number)
-- Whoever begins a hash has the one that is over freed in the background.
if redis.call('EXISTS', key) == 0 then redis.call('UNLINK', prefix .. text_of(number - 2)) end
local now = redis.call('HMGET', key, unpack(ARGV, 3))
local before = redis.call('HMGET', prefix .. text_of(number - 1), unpack(ARGV, 3))
local claimed = {}
for at = 1, #now do claimed[at] = (now[at] or before[at]) and '1' or '0' end
return {key, text_of((number + 2) * window_ms), table.concat(claimed)}
