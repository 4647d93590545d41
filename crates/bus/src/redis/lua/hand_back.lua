-- KEYS: stream, group state. ARGV: group, consumer, idle ms, then id and deliveries of each. Makes messages
-- that were not started look as idle as dead ones, so that peers take them at once.
for at = 4, #ARGV, 2 do
  if holder_of(KEYS[1], ARGV[1], ARGV[at]) == ARGV[2] then
    assign(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[at], 'IDLE', ARGV[3], 'RETRYCOUNT', ARGV[at + 1])
  end
end
return 0
