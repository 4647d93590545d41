-- KEYS: stream, group state. ARGV: group.
-- Creates the group where it is missing: at the start if it never was, else where it had settled
-- everything. Gives 0 if it was there, 1 if it was lost, 2 if nothing was known of it. Messages that were there then may be repeats.
local stream, state, group = KEYS[1], KEYS[2], ARGV[1]
local groups = groups_of(stream)
if groups and groups[group] then
  return 0
end
local floor = redis.call('HGET', state, 'floor')
if not floor then
  redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  redis.call('HSET', state, 'floor', '0-0')
  return 2
end
local last = '0-0'
if groups then last = fields_of(redis.call('XINFO', 'STREAM', stream))['last-generated-id'] end
-- A stream whose last id is below the floor is another stream: read it from its start.
if id_less(last, floor) then floor = '0-0' end
redis.call('XGROUP', 'CREATE', stream, group, floor, 'MKSTREAM')
-- What comes after the floor is counted again, so it must not count as done already.
local info = fields_of(redis.call('XINFO', 'STREAM', stream))
local settled = #redis.call('XRANGE', stream, '-', floor)
local known = redis.call('HMGET', state, 'dead', 'vanished')
local done = info['entries-added'] - (info['length'] - settled)
  - tonumber(known[1] or 0) - tonumber(known[2] or 0)
redis.call('HSET', state, 'done', text_of(math.max(0, done)))
redis.call('HSET', state, 'repeat_until', last)
redis.call('HINCRBY', state, 'recreated', 1)
return 1
