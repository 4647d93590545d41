-- KEYS: stream. ARGV: group, consumer, then ids. Renews the leases of messages that are still this
-- consumer's; gives the ids of the others. JUSTID leaves the deliveries as they are.
local lost = {}
for at = 3, #ARGV do
  if holder_of(KEYS[1], ARGV[1], ARGV[at]) == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[at], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[at]
  end
end
return lost
