-- KEYS: stream, dead-letter stream, its counts, then the state of each declared group.
-- ARGV: retrying consumer, most entries to count, then those groups.
-- Gives {length, published, letters, groups}; letters are how many wait, were redriven, discarded,
-- expired, split and late; a group is a list of names and values.
local stream = KEYS[1]
local letters = redis.call('HMGET', KEYS[3], 'redriven', 'discarded', 'expired', 'split', 'late')
for number = 1, 5 do letters[number] = letters[number] or 0 end
table.insert(letters, 1, redis.call('XLEN', KEYS[2]))
local groups = groups_of(stream)
if not groups then return {0, 0, letters, {}} end
local info = fields_of(redis.call('XINFO', 'STREAM', stream))
local now, limit = now_ms(), tonumber(ARGV[2])

local function age_of(id) return math.max(0, now - (id_parts(id))) end

local state_keys = {}
for at = 3, #ARGV do state_keys[ARGV[at]] = KEYS[at + 1] end

local head = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]

-- How many entries come after an id, and whether that is exact. Redis forgets the lag after
-- deletions, trims and for groups created in the middle: then it says NULL, which is not 0, and the
-- entries on either side are counted as far as the limit. It also counts entries that were cut off
-- before anybody read them: when all that is left comes after the id, the length is the answer.
local function undelivered_of(delivered, first, lag)
  if not first then return 0, 1 end
  if id_less(delivered, head[1]) then return info['length'], 1 end
  if lag then return lag, 1 end
  local after = #redis.call('XRANGE', stream, '(' .. delivered, '+', 'COUNT', limit)
  if after < limit then return after, 1 end
  local before = #redis.call('XRANGE', stream, '-', delivered, 'COUNT', limit)
  if before < limit then return info['length'] - before, 1 end
  return after, 0
end

local all = {}
for name, group in pairs(groups) do
  local delivered = group['last-delivered-id']
  local first = redis.call('XRANGE', stream, '(' .. delivered, '+', 'COUNT', 1)[1]
  local counts = {false, false, false, false, false}
  if state_keys[name] then
    counts = redis.call('HMGET', state_keys[name], 'done', 'dead', 'vanished', 'recreated', 'floor')
  end
  local settled = tonumber(counts[1] or 0) + tonumber(counts[2] or 0) + tonumber(counts[3] or 0)
  local unsettled = info['entries-added'] - settled - group['pending']
  -- Redis does not log how much a group has read: after a restart the lag is too large, for ever. It is
  -- believed when it agrees with what is known to be settled; else it is counted and put right.
  local wrong = group['lag'] and state_keys[name] and group['lag'] ~= unsettled
  local lag, exact = undelivered_of(delivered, first, not wrong and group['lag'])
  if wrong and exact == 1 and lag ~= group['lag'] then
    local read = text_of(info['entries-added'] - lag)
    redis.call('XGROUP', 'SETID', stream, name, delivered, 'ENTRIESREAD', read)
  end
  local oldest_pending, retrying, consumers = -1, 0, 0
  if group['pending'] > 0 then
    local summary = redis.call('XPENDING', stream, name)
    oldest_pending = age_of(summary[2])
    for _, consumer in ipairs(summary[4]) do
      if consumer[1] == ARGV[1] then retrying = tonumber(consumer[2]) end
    end
  end
  for _, reply in ipairs(redis.call('XINFO', 'CONSUMERS', stream, name)) do
    if fields_of(reply)['name'] ~= ARGV[1] then consumers = consumers + 1 end
  end
  -- More than can be counted: what was published and is neither settled nor pending.
  if exact == 0 then lag = math.max(lag, unsettled) end
  all[#all + 1] = {
    'name', name, 'consumers', consumers, 'pending', group['pending'], 'retrying', retrying,
    'undelivered', lag, 'exact', exact, 'oldest_undelivered', first and age_of(first[1]) or -1,
    'oldest_pending', oldest_pending, 'done', counts[1] or 0, 'dead', counts[2] or 0,
    'vanished', counts[3] or 0, 'recreated', counts[4] or 0, 'floor', counts[5] or '0-0',
    'counted', state_keys[name] and 1 or 0, 'delivered', delivered,
  }
end
return {info['length'], info['entries-added'], letters, all}
