-- KEYS: stream, failures. ARGV: group, first id, count.
-- Gives id, consumer, idle ms, deliveries and the failure of pending messages; nothing when there is
-- no such group.
local groups = groups_of(KEYS[1])
if not groups or not groups[ARGV[1]] then return {} end
local all = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], '+', ARGV[3])
for _, pending in ipairs(all) do
  pending[5] = redis.call('HGET', KEYS[2], pending[1]) or ''
end
return all
