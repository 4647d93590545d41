-- KEYS: stream, group state, failures. ARGV: group, then message ids (at most 500: unpack is
-- limited). Acknowledges and counts what was acknowledged.
local done = redis.call('XACK', KEYS[1], unpack(ARGV))
if done > 0 then redis.call('HINCRBY', KEYS[2], 'done', done) end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('HDEL', KEYS[3], unpack(ARGV, 2)) end
return done
