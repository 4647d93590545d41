-- Takes the oldest items of an agent, or the flush that nobody works on.
-- KEYS: the batch, its meta, the flush, its state; the index, the urgent and the requested agents,
-- the flushes. ARGV: agent, token, milliseconds of the lease, how many items at most.
-- Gives nothing, or the attempts, the time, the meta and the elements, newest first.

local batch, meta, flush, state, index, urgent, requested, flushes = unpack(KEYS)
local agent, token = ARGV[1], ARGV[2]
local lease_ms, items_max = tonumber(ARGV[3]), tonumber(ARGV[4])
local ELEMENTS_AT_ONCE = 500
-- What an instance is given to flush at once, unless a single element has more.
local BYTES_MAX = 16777216
-- A batch that takes so little memory is taken whole, without a look at its elements: packed ones
-- are some times larger than they look.
local LIGHT = 1048576

-- Moves the oldest elements to the flush; gives how many items and elements that were.
local function move_oldest(is_light)
  local items, bytes, moved, is_full = 0, 0, 0, false
  local at_once = is_light and ELEMENTS_AT_ONCE or 8
  repeat
    local chunk = redis.call('LRANGE', batch, -(moved + at_once), -(moved + 1))
    local oldest_first = {}
    for at = #chunk, 1, -1 do
      local more, more_bytes = items_in(chunk[at]), bytes_in(chunk[at])
      is_full = items > 0 and (items + more > items_max or bytes + more_bytes > BYTES_MAX)
      if is_full then
        break
      end
      items, bytes = items + more, bytes + more_bytes
      oldest_first[#oldest_first + 1] = chunk[at]
    end
    if #oldest_first > 0 then
      redis.call('LPUSH', flush, unpack(oldest_first))
      moved = moved + #oldest_first
    end
  until is_full or #chunk < at_once
  redis.call('LTRIM', batch, 0, -(moved + 1))
  return items, moved
end

local function forget_batch()
  redis.call('DEL', meta)
  redis.call('SREM', index, agent)
  redis.call('SREM', urgent, agent)
  redis.call('SREM', requested, agent)
end

-- Makes a flush of the oldest items; gives whether there were any.
local function seal(now)
  local elements = redis.call('LLEN', batch)
  if elements == 0 then
    forget_batch()
    return false
  end
  local text = redis.pcall('GET', meta)
  local created, last, count = read_meta(type(text) == 'string' and text)
  created, last, count = created or iso(now), last or iso(now), math.max(count or 0, elements)
  local is_urgent = redis.call('SISMEMBER', urgent, agent)
  local taken = count
  local is_light = redis.call('MEMORY', 'USAGE', batch) <= LIGHT
  if count <= items_max and is_light then
    redis.call('RENAME', batch, flush)
    forget_batch()
  else
    local moved
    taken, moved = move_oldest(is_light)
    if moved == elements then
      forget_batch()
    else
      -- When the first of the rest came is not known. It came later than this, so it waits for a
      -- shorter time than promised; nor is it known whether an urgent one is among them.
      redis.call('SET', meta, write_meta(created, last, math.max(count - taken, elements - moved)))
      redis.call('SADD', index, agent)
    end
  end
  redis.call('HSET', state, 'meta', write_meta(created, last, taken), 'urgent', is_urgent)
  return true
end

local now = now_ms()
local lease_end = redis.call('ZSCORE', flushes, agent)
if lease_end and tonumber(lease_end) > now then
  return false
end
write_also_when_full(flushes)
if redis.call('LLEN', flush) == 0 then
  redis.call('DEL', state)
  redis.call('ZREM', flushes, agent)
  if not seal(now) then
    return false
  end
end
redis.call('HSET', state, 'token', token)
redis.call('ZADD', flushes, now + lease_ms, agent)
local attempts = redis.call('HINCRBY', state, 'attempts', 1)
local sealed = redis.call('HGET', state, 'meta') or ''
return {attempts, now, sealed, redis.call('LRANGE', flush, 0, -1)}
