-- KEYS: stream, samples, then the state of each declared group. ARGV: retained, then those groups.
-- Records up to where each group has settled everything, and trims by MINID: never past a message
-- that some group has not settled, and only what lies more than `retained` entries back. Samples of
-- (entries ever added, last id) tell that id without reading the entries.
local stream, samples, retained = KEYS[1], KEYS[2], tonumber(ARGV[1])
local groups = groups_of(stream)
if not groups then return 0 end
local info = fields_of(redis.call('XINFO', 'STREAM', stream))
local added, last = info['entries-added'], info['last-generated-id']

local open = id_next(last)
local floors = {}
for name, group in pairs(groups) do
  local first_open, floor
  if group['pending'] > 0 then
    first_open = redis.call('XPENDING', stream, name)[2]
    floor = id_previous(first_open)
  else
    first_open = id_next(group['last-delivered-id'])
    floor = group['last-delivered-id']
  end
  floors[name] = floor
  if id_less(first_open, open) then open = first_open end
end
local complete = true
for at = 2, #ARGV do
  if floors[ARGV[at]] then
    redis.call('HSET', KEYS[at + 1], 'floor', floors[ARGV[at]])
  else
    complete = false
  end
end

local newest = redis.call('ZREVRANGE', samples, 0, 0, 'WITHSCORES')
if newest[2] and tonumber(newest[2]) > added then
  redis.call('DEL', samples)
  newest = {}
end
local step = math.max(1, math.floor(retained / 20))
if not newest[2] or added - tonumber(newest[2]) >= step then
  redis.call('ZADD', samples, added, last)
end
local cut = redis.call('ZREVRANGEBYSCORE', samples, added - retained, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if not complete or not cut[1] then return 0 end
redis.call('ZREMRANGEBYSCORE', samples, '-inf', '(' .. cut[2])
local lowest = id_next(cut[1])
if id_less(open, lowest) then lowest = open end
-- Whole nodes first and boundedly many, so that a large trim does not hold up the server; the rest
-- is less than a node.
local limit = 20000
local trimmed = redis.call('XTRIM', stream, 'MINID', '~', lowest, 'LIMIT', limit)
if trimmed < limit then trimmed = trimmed + redis.call('XTRIM', stream, 'MINID', '=', lowest) end
return trimmed
