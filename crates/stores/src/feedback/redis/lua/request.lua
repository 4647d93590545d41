-- Makes batches due at once: those that grow, and those that wait for another try.
-- KEYS: the index, the requested agents, the flushes, then of each agent the batch and the state of
-- its flush. ARGV: the agents. Gives how many batches are due now.

local index, requested, flushes = KEYS[1], KEYS[2], KEYS[3]
local now = now_ms()
local due = 0
for number, agent in ipairs(ARGV) do
  local batch, state = KEYS[2 + 2 * number], KEYS[3 + 2 * number]
  if redis.call('EXISTS', batch) == 1 then
    -- Also of a batch that other programs began without an entry.
    redis.call('SADD', index, agent)
    redis.call('SADD', requested, agent)
    due = due + 1
  end
  local waits_until = redis.call('ZSCORE', flushes, agent)
  if waits_until then
    local is_over = tonumber(waits_until) <= now
    if not is_over and redis.call('HEXISTS', state, 'token') == 0 then
      redis.call('ZADD', flushes, now, agent)
      is_over = true
    end
    due = due + (is_over and 1 or 0)
  end
end
return due
