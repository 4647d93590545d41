-- KEYS: stream, group state, failures, dead-letter stream, its counts.
-- ARGV: group, consumer, retention of dead letters in ms, then id, reason and error of each.
-- Moves messages to the dead letters in one step: still this consumer's, added, acknowledged. A
-- script that fails is not rolled back, so what it must not lose it gives up last.
local stream, state, failures, letters, counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, consumer = ARGV[1], ARGV[2]
local now, dead = now_ms(), 0
local failed_at = iso_of(now)

for at = 4, #ARGV, 3 do
  local id, reason, problem = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local holder, deliveries = holder_of(stream, group, id)
  if holder == consumer then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    if entry then
      local failure = redis.call('HGET', failures, id) or ''
      local first, last = string.match(failure, '^(%S+) (.*)$')
      if last and last ~= problem then problem = problem .. '; last failure: ' .. last end
      write_letter(letters, counts, entry[2], {
        'dlq_reason', reason, 'dlq_error', problem, 'dlq_stream', stream, 'dlq_id', id,
        'dlq_group', group, 'dlq_attempts', deliveries,
        'dlq_first_failed_at', first or failed_at, 'dlq_failed_at', failed_at,
        'dlq_worker', consumer,
      })
      redis.call('HINCRBY', state, 'dead', 1)
      dead = dead + 1
    else
      redis.call('HINCRBY', state, 'vanished', 1)
    end
    redis.call('XACK', stream, group, id)
    redis.call('HDEL', failures, id)
  end
end
if dead > 0 then expire_letters(letters, counts, now, ARGV[3]) end
return dead
