-- KEYS: stream, group state, failures. ARGV: group, consumer, retrying consumer, then id and reason
-- of each.
-- Puts failed messages where retries wait, if they are still this consumer's. Their idle time
-- starts anew, and the time of the first failure is kept.
local now, retried = iso_of(now_ms()), 0
for at = 4, #ARGV, 2 do
  local id = ARGV[at]
  local mine = holder_of(KEYS[1], ARGV[1], id) == ARGV[2]
  if mine and assign(KEYS[1], KEYS[2], ARGV[1], ARGV[3], id, 'IDLE', 0) then
    local first = string.match(redis.call('HGET', KEYS[3], id) or '', '^%S+') or now
    redis.call('HSET', KEYS[3], id, first .. ' ' .. ARGV[at + 1])
    retried = retried + 1
  end
end
return retried
