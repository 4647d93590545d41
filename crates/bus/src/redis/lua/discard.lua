-- KEYS: dead-letter stream, counts of the letters. ARGV: ids, at most 500: unpack is limited.
-- Removes letters for good; gives how many there were.
local discarded = redis.call('XDEL', KEYS[1], unpack(ARGV))
if discarded > 0 then redis.call('HINCRBY', KEYS[2], 'discarded', discarded) end
return discarded
