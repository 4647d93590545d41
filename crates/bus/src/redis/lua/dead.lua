-- KEYS: stream, group state, failures, dead-letter stream, its counts.
-- ARGV: group, consumer, retention of dead letters in ms, then id, reason and error of each.
-- Moves messages to the dead letters in one step: still this consumer's, added, acknowledged. A
-- script that fails is not rolled back, so what it must not lose it gives up last.
local stream, state, failures, letters, counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, consumer = ARGV[1], ARGV[2]
local now, dead = now_ms(), 0
local failed_at = iso_of(now)
local oldest = text_of(math.max(0, now - tonumber(ARGV[3])))

-- A message of absurdly many fields becomes several letters: Lua passes on fewer than 8,000 values.
local function parts_of(texts)
  if #texts <= PASSED_ON_MAX then return {texts} end
  local parts = {}
  for from = 1, #texts, PASSED_ON_MAX do
    parts[#parts + 1] = {unpack(texts, from, math.min(from + PASSED_ON_MAX - 1, #texts))}
  end
  return parts
end

for at = 4, #ARGV, 3 do
  local id, reason, problem = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local holder, deliveries = holder_of(stream, group, id)
  if holder == consumer then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    if entry then
      local failure = redis.call('HGET', failures, id) or ''
      local first, last = string.match(failure, '^(%S+) (.*)$')
      if last and last ~= problem then problem = problem .. '; last failure: ' .. last end
      local parts = parts_of(entry[2])
      for number, texts in ipairs(parts) do
        for _, text in ipairs({
          'dlq_reason', reason, 'dlq_error', problem, 'dlq_stream', stream, 'dlq_id', id,
          'dlq_group', group, 'dlq_attempts', deliveries,
          'dlq_first_failed_at', first or failed_at, 'dlq_failed_at', failed_at,
          'dlq_worker', consumer,
        }) do texts[#texts + 1] = text end
        if #parts > 1 then
          texts[#texts + 1] = 'dlq_part'
          texts[#texts + 1] = number .. '/' .. #parts
        end
        redis.call('XADD', letters, '*', unpack(texts))
      end
      if #parts > 1 then redis.call('HINCRBY', counts, 'split', #parts - 1) end
      redis.call('HINCRBY', state, 'dead', 1)
      dead = dead + 1
    else
      redis.call('HINCRBY', state, 'vanished', 1)
    end
    redis.call('XACK', stream, group, id)
    redis.call('HDEL', failures, id)
  end
end
if dead > 0 then
  local expired = redis.call('XTRIM', letters, 'MINID', '~', oldest)
  if expired > 0 then redis.call('HINCRBY', counts, 'expired', expired) end
end
return dead
