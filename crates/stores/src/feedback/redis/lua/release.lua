-- Gives a flush up until a wait is over.
-- KEYS: the state of the flush, the flushes. ARGV: agent, token, milliseconds of the wait.
-- Gives whether the flush was the token's.

if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then
  return 0
end
-- First what needs no memory: a full server lets the rest pass then.
redis.call('HDEL', KEYS[1], 'token')
redis.call('ZADD', KEYS[2], now_ms() + tonumber(ARGV[3]), ARGV[1])
return 1
