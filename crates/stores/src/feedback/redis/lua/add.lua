-- Adds items, each agent's in a batch of its own.
-- KEYS: the index, the urgent agents, then of each agent the batch and its meta.
-- ARGV: of each agent its id, how many items these are, whether one is urgent, how many elements
-- they are, and the elements, oldest first.
-- Gives of each agent how many items wait now, or why it was refused.

local index, urgent = KEYS[1], KEYS[2]
-- Looked at before anything is written: an agent must not be left without an entry.
redis.call('SISMEMBER', index, '')
redis.call('SISMEMBER', urgent, '')

local agents = (#KEYS - 2) / 2
local meta_keys = {}
for number = 1, agents do
  meta_keys[number] = KEYS[2 + 2 * number]
end
local metas = redis.call('MGET', unpack(meta_keys))
local now = iso(now_ms())

local answers, new_metas, added, hurried = {}, {}, {}, {}
local at = 1
for number = 1, agents do
  local agent, items, is_urgent = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
  local first, count = at + 4, tonumber(ARGV[at + 3])
  local length = redis.pcall('LPUSH', KEYS[1 + 2 * number], unpack(ARGV, first, first + count - 1))
  if type(length) == 'number' then
    local before = length - count
    local created, _, waiting
    -- A meta without a list is of a batch that somebody deleted.
    if before > 0 then
      created, _, waiting = read_meta(metas[number])
    end
    -- Other programs may add to a list and say nothing of it.
    waiting = math.max(waiting or 0, before) + items
    new_metas[#new_metas + 1] = meta_keys[number]
    new_metas[#new_metas + 1] = write_meta(created or now, now, waiting)
    added[#added + 1] = agent
    if is_urgent == '1' then
      hurried[#hurried + 1] = agent
    end
    answers[number] = waiting
  elseif string.sub(length.err, 1, 9) == 'WRONGTYPE' then
    answers[number] = length.err
  elseif #added == 0 then
    return length
  else
    answers[number] = length.err
  end
  at = first + count
end

if #added > 0 then
  redis.call('MSET', unpack(new_metas))
  redis.call('SADD', index, unpack(added))
end
if #hurried > 0 then
  redis.call('SADD', urgent, unpack(hurried))
end
return answers
