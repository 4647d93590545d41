-- KEYS: stream. ARGV: the kinds of claims, then for each message: its kind, what it claims, number of
-- texts, then names and values.
-- Gives for each message its id, or '' if its claim was taken. If a message cannot be appended,
-- nothing is done.
local stream = KEYS[1]
local first = read_claim_kinds(1)
local at = first
while at <= #ARGV do
  local texts = tonumber(ARGV[at + 2])
  local problem = append_problem(stream, texts)
  if problem then return problem end
  announce(ARGV[at], ARGV[at + 1])
  at = at + 3 + texts
end
look_up_claims()
local ids = {}
at = first
while at <= #ARGV do
  local next_at = at + 3 + tonumber(ARGV[at + 2])
  local id = ''
  if claim(ARGV[at], ARGV[at + 1]) then
    id = call('XADD', stream, '*', unpack(ARGV, at + 3, next_at - 1))
  end
  ids[#ids + 1] = id
  at = next_at
end
keep_claims()
return ids
