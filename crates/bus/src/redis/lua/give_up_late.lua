-- KEYS: dead-letter stream, its counts. ARGV: topic, retention of dead letters in ms, the kinds of
-- claims, then for each letter: its kind, what it claims, id, group, attempts, reason, error, first
-- failure, worker, number of texts, then names and values.
-- Writes the letters whose claims succeed; gives how many. If letters cannot be written, nothing is done.
local letters, counts, topic, retention_ms = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local problem = append_problem(letters, 0)
if problem then return problem end
local first = read_claim_kinds(3)
local at = first
while at <= #ARGV do
  announce(ARGV[at], ARGV[at + 1])
  at = at + 10 + tonumber(ARGV[at + 9])
end
look_up_claims()
local now, late = now_ms(), 0
local failed_at = iso_of(now)
at = first
while at <= #ARGV do
  local next_at = at + 10 + tonumber(ARGV[at + 9])
  if claim(ARGV[at], ARGV[at + 1]) then
    local texts = {}
    for text = at + 10, next_at - 1 do texts[#texts + 1] = ARGV[text] end
    write_letter(letters, counts, texts, {
      'dlq_reason', ARGV[at + 5], 'dlq_error', ARGV[at + 6], 'dlq_stream', topic,
      'dlq_id', ARGV[at + 2], 'dlq_group', ARGV[at + 3], 'dlq_attempts', ARGV[at + 4],
      'dlq_first_failed_at', ARGV[at + 7], 'dlq_failed_at', failed_at, 'dlq_worker', ARGV[at + 8],
    })
    late = late + 1
  end
  at = next_at
end
keep_claims()
if late > 0 then
  call('HINCRBY', counts, 'late', late)
  expire_letters(letters, counts, now, retention_ms)
end
return late
