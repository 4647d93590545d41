-- Keeps others away for longer.
-- KEYS: the state of the flush, the flushes. ARGV: agent, token, milliseconds of the lease.
-- Gives whether the flush is the token's.

if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then
  return 0
end
write_also_when_full(KEYS[2])
redis.call('ZADD', KEYS[2], now_ms() + tonumber(ARGV[3]), ARGV[1])
return 1
