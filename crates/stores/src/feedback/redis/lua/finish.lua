-- Drops what was flushed. What came meanwhile is in another list.
-- KEYS: the flush, its state, the flushes. ARGV: agent, token.
-- Gives whether the flush was the token's.

if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2] then
  return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
