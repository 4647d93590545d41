-- KEYS: stream. ARGV: group, consumer, idle ms, then id and deliveries of each. Makes messages
-- that were not started look as idle as dead ones, so that peers take them at once.
for at = 4, #ARGV, 2 do
  if holder_of(KEYS[1], ARGV[1], ARGV[at]) == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[at], 'IDLE', ARGV[3], 'RETRYCOUNT', ARGV[at + 1], 'JUSTID')
  end
end
return 0
