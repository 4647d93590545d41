-- KEYS: stream, group state, failures, then streams and claim keys of outputs.
-- ARGV: group, then for each message: its id and how many outputs, and for each output: the index
-- of its stream in KEYS, the index of its claim key (0 for none), claimant, window in ms, rule,
-- number of texts, then names and values.
-- A message that is no longer open publishes nothing: somebody else finished it. If an output
-- cannot be appended, nothing is done.
local group, at, done, published = ARGV[1], 2, 0, 0
while at <= #ARGV do
  local outputs = tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, outputs do
    local texts = tonumber(ARGV[at + 5])
    local problem = append_problem(KEYS[tonumber(ARGV[at])], texts)
    if problem then return problem end
    at = at + 6 + texts
  end
end
at = 2
local failures = redis.call('EXISTS', KEYS[3]) == 1
while at <= #ARGV do
  local id, outputs = ARGV[at], tonumber(ARGV[at + 1])
  local open = redis.call('XACK', KEYS[1], group, id) == 1
  if open then done = done + 1 end
  if failures then redis.call('HDEL', KEYS[3], id) end
  at = at + 2
  for _ = 1, outputs do
    local stream, claim = KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
    local claimant, window, rule = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    local texts = tonumber(ARGV[at + 5])
    local publish = open
    if publish and claim > 0 then
      if rule == 'unclaimed' then
        publish = redis.call('SET', KEYS[claim], claimant, 'NX', 'PX', window)
      else
        publish = redis.call('SET', KEYS[claim], claimant, 'PX', window, 'GET') ~= claimant
      end
    end
    if publish then
      redis.call('XADD', stream, '*', unpack(ARGV, at + 6, at + 5 + texts))
      published = published + 1
    end
    at = at + 6 + texts
  end
end
if done > 0 then redis.call('HINCRBY', KEYS[2], 'done', done) end
return {done, published}
