-- KEYS: stream. ARGV: group, retrying consumer, least idle ms. Removes consumers that own nothing:
-- deleting one that does would delete its messages' pending entries.
local removed = 0
for _, reply in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = fields_of(reply)
  local keeps = consumer['name'] == ARGV[2] or consumer['pending'] > 0
  if not keeps and consumer['idle'] >= tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    removed = removed + 1
  end
end
return removed
