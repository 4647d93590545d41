-- KEYS: stream, group state. ARGV: group, consumer, then ids. Renews the leases of messages that are still this
-- consumer's; gives the ids of the others.
local lost = {}
for at = 3, #ARGV do
  if holder_of(KEYS[1], ARGV[1], ARGV[at]) == ARGV[2] then
    assign(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[at])
  else
    lost[#lost + 1] = ARGV[at]
  end
end
return lost
