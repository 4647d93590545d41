-- KEYS: dead-letter stream, counts of the letters. ARGV: ids.
-- Removes letters for good; gives for each how many there were: 1, or 0.
local removed, discarded = {}, 0
for at, id in ipairs(ARGV) do
  removed[at] = redis.call('XDEL', KEYS[1], id)
  discarded = discarded + removed[at]
end
if discarded > 0 then redis.call('HINCRBY', KEYS[2], 'discarded', discarded) end
return removed
