-- KEYS: stream, group state. ARGV: group, consumer, then id, least idle ms and deliveries of each.
-- Takes over messages that are still as idle as asked. Gives the entries, then the ids of pending
-- messages that are no longer in the stream: they are settled as vanished.
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local claimed, vanished = {}, {}
for at = 3, #ARGV, 3 do
  local id = ARGV[at]
  if holder_of(stream, group, id) then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    if entry then
      local mine = redis.call('XCLAIM', stream, group, consumer, ARGV[at + 1], id, 'RETRYCOUNT', ARGV[at + 2], 'JUSTID')
      if mine[1] then claimed[#claimed + 1] = entry end
    elseif redis.call('XACK', stream, group, id) == 1 then
      redis.call('HINCRBY', KEYS[2], 'vanished', 1)
      vanished[#vanished + 1] = id
    end
  end
end
return {claimed, vanished}
