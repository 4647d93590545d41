-- KEYS: stream, then the claim key of each message.
-- ARGV: for each message: claimant, window in ms, rule, number of texts, then names and values.
-- Gives for each message its id, or '' if its claim was taken. If a message cannot be appended,
-- nothing is done.
local ids, at = {}, 1
for _ = 2, #KEYS do
  local texts = tonumber(ARGV[at + 3])
  local problem = append_problem(KEYS[1], texts)
  if problem then return problem end
  at = at + 4 + texts
end
at = 1
for number = 2, #KEYS do
  local claimant, window, rule, texts = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local claimed
  if rule == 'unclaimed' then
    claimed = redis.call('SET', KEYS[number], claimant, 'NX', 'PX', window)
  else
    claimed = redis.call('SET', KEYS[number], claimant, 'PX', window, 'GET') ~= claimant
  end
  if claimed then
    ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 4, at + 3 + texts))
  else
    ids[#ids + 1] = ''
  end
  at = at + 4 + texts
end
return ids
