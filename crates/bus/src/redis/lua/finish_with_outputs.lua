-- KEYS: stream, group state, failures, then streams of outputs.
-- ARGV: group, the kinds of claims, then for each message: its id and how many outputs, and for each
-- output: the index of its stream in KEYS, its kind of claim (0 for none), what it claims, number of
-- texts, then names and values.
-- A message that is no longer open publishes nothing: somebody else finished it. If an output
-- cannot be appended, nothing is done.
local group = ARGV[1]
local first = read_claim_kinds(2)
local at = first
while at <= #ARGV do
  local outputs = tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, outputs do
    local kind, texts = ARGV[at + 1], tonumber(ARGV[at + 3])
    local problem = append_problem(KEYS[tonumber(ARGV[at])], texts)
    if problem then return problem end
    if kind ~= '0' then announce(kind, ARGV[at + 2]) end
    at = at + 4 + texts
  end
end
look_up_claims()
local done, published = 0, 0
local failures = call('EXISTS', KEYS[3]) == 1
at = first
while at <= #ARGV do
  local id, outputs = ARGV[at], tonumber(ARGV[at + 1])
  local open = call('XACK', KEYS[1], group, id) == 1
  if open then done = done + 1 end
  if failures then call('HDEL', KEYS[3], id) end
  at = at + 2
  for _ = 1, outputs do
    local kind, next_at = ARGV[at + 1], at + 4 + tonumber(ARGV[at + 3])
    if open and (kind == '0' or claim(kind, ARGV[at + 2])) then
      call('XADD', KEYS[tonumber(ARGV[at])], '*', unpack(ARGV, at + 4, next_at - 1))
      published = published + 1
    end
    at = next_at
  end
end
keep_claims()
if done > 0 then call('HINCRBY', KEYS[2], 'done', done) end
return {done, published}
