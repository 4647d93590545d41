-- Shared by every script: reading XINFO replies, which are flat lists of names and values, and ids.
local function fields_of(reply)
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end

-- The groups of a stream by name; nil when there is no stream.
local function groups_of(stream)
  local reply = redis.pcall('XINFO', 'GROUPS', stream)
  if reply.err then return nil end
  local groups = {}
  for _, group in ipairs(reply) do
    local fields = fields_of(group)
    groups[fields['name']] = fields
  end
  return groups
end

local function id_parts(id)
  local major, minor = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(major), tonumber(minor)
end

local function id_less(a, b)
  local a_major, a_minor = id_parts(a)
  local b_major, b_minor = id_parts(b)
  if a_major ~= b_major then return a_major < b_major end
  return a_minor < b_minor
end

local function text_of(number) return string.format('%.0f', number) end

-- Whether a text is an id as Redis writes it; nobody's are beyond what Lua's numbers can tell apart.
local function is_id(text)
  local major, minor = id_parts(text)
  return major ~= nil and text_of(major) .. '-' .. text_of(minor) == text
end

-- The highest minor part; Lua's numbers cannot tell it from its neighbours, but nobody counts so far.
local MINOR_MAX = '18446744073709551615'

local function id_next(id)
  local major, minor = id_parts(id)
  if minor >= tonumber(MINOR_MAX) then return text_of(major + 1) .. '-0' end
  return text_of(major) .. '-' .. text_of(minor + 1)
end

local function id_previous(id)
  local major, minor = id_parts(id)
  if minor > 0 then return text_of(major) .. '-' .. text_of(minor - 1) end
  if major == 0 then return '0-0' end
  return text_of(major - 1) .. '-' .. MINOR_MAX
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A moment as RFC 3339 in UTC (days to a date after H. Hinnant, "chrono-compatible low-level date
-- algorithms").
local function iso_of(ms)
  local days = math.floor(ms / 86400000)
  local rest = ms - days * 86400000
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local day_of_era = shifted - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460)
    + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era
    - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local shifted_month = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * shifted_month + 2) / 5) + 1
  local month = shifted_month < 10 and shifted_month + 3 or shifted_month - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

-- Who holds a pending message, and how often it was delivered; nil when nobody does.
local function holder_of(stream, group, id)
  local pending = redis.call('XPENDING', stream, group, id, id, 1)[1]
  if not pending then return nil end
  return pending[2], pending[4]
end

-- Makes a consumer the holder of a pending message, deliveries as they are unless said otherwise.
-- XCLAIM drops a message that was deleted from the stream: it is counted as vanished. Gives the id.
local function assign(stream, state, group, consumer, id, ...)
  local options = {...}
  options[#options + 1] = 'JUSTID'
  local assigned = redis.call('XCLAIM', stream, group, consumer, 0, id, unpack(options))[1]
  if not assigned then redis.call('HINCRBY', state, 'vanished', 1) end
  return assigned
end

-- The most texts that are passed on in one call: Lua's stack ends before 8,000 values.
local PASSED_ON_MAX = 7000

-- Why texts cannot be appended to a stream; nil when they can. A script that fails is not rolled
-- back, so this is asked before anything is done.
local kinds = {}
local function append_problem(stream, texts)
  kinds[stream] = kinds[stream] or redis.call('TYPE', stream)['ok']
  if kinds[stream] ~= 'stream' and kinds[stream] ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. stream .. ' is no stream')
  end
  if texts > PASSED_ON_MAX then
    return redis.error_reply('TOOLARGE ' .. texts .. ' names and values to ' .. stream)
  end
end
