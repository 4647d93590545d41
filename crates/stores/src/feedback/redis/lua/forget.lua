-- Removes the entries of batches whose list is gone, as when somebody deleted it.
-- KEYS: the index, the urgent and the requested agents, then of each agent the batch and its meta.
-- ARGV: the agents.

for number, agent in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[2 + 2 * number]) == 0 then
    redis.call('DEL', KEYS[3 + 2 * number])
    for set = 1, 3 do
      redis.call('SREM', KEYS[set], agent)
    end
  end
end
return 0
