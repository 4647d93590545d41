-- Adds items, each agent's in a batch of its own.
-- KEYS: the index, the urgent agents, then of each agent the batch and its meta.
-- ARGV: a MessagePack array with three numbers of each agent (how many items these are, whether one
-- is urgent, how many elements they are), then of each agent its id and the elements, oldest first.
-- Numbers come so because every text that comes in is copied, which is most of what a call costs.
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

-- This is done for every agent, so a meta that the scripts wrote is cut at the places where its
-- parts are known to be: a pattern takes as long as the rest.
local BEGIN, MIDDLE, END = '{"createdAt":"', '","lastItemAt":"', '","itemCount":'
local head_of_new, tail = BEGIN .. now, MIDDLE .. now .. END

-- The meta up to the creation of its batch, and how many items wait.
local function begun(meta)
  if not meta then
    return head_of_new, 0
  end
  if string.sub(meta, 39, 54) == MIDDLE and string.sub(meta, 79, 92) == END
    and string.sub(meta, 1, 14) == BEGIN then
    local waiting = tonumber(string.sub(meta, 93, -2))
    if waiting and waiting < 1e13 then
      return string.sub(meta, 1, 38), waiting
    end
  end
  local created, _, waiting = read_meta(meta)
  return BEGIN .. (created or now), waiting or 0
end

local answers, new_metas, added, hurried = {}, {}, {}, {}
local numbers = cmsgpack.unpack(ARGV[1])
local at = 2
for number = 1, agents do
  local items, is_urgent, count = numbers[3 * number - 2], numbers[3 * number - 1], numbers[3 * number]
  local agent, first = ARGV[at], at + 1
  local length = redis.pcall('LPUSH', KEYS[1 + 2 * number], unpack(ARGV, first, first + count - 1))
  if type(length) == 'number' then
    local before = length - count
    -- A meta without a list is of a batch that somebody deleted.
    local head, waiting = begun(before > 0 and metas[number])
    -- Other programs may add to a list and say nothing of it.
    if waiting < before then
      waiting = before
    end
    waiting = waiting + items
    local place = #added + 1
    added[place] = agent
    new_metas[2 * place - 1] = meta_keys[number]
    new_metas[2 * place] = head .. tail .. waiting .. '}'
    if is_urgent == 1 then
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
