-- What all scripts share. Time is the server's, so that the clocks of the workers do not matter.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local DAY_MS = 86400000

local function days_of_year(year)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  return leap and 366 or 365
end

-- A moment since 1970 as UnixMillis prints it.
local function iso(ms)
  local days = math.floor(ms / DAY_MS)
  local rest = ms - days * DAY_MS
  local year = 1970
  while days >= days_of_year(year) do
    days = days - days_of_year(year)
    year = year + 1
  end
  local lengths = {31, days_of_year(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
  local month = 1
  while days >= lengths[month] do
    days = days - lengths[month]
    month = month + 1
  end
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, days + 1,
    math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60,
    rest % 1000)
end

local function write_meta(created, last, count)
  return '{"createdAt":"' .. created .. '","lastItemAt":"' .. last .. '","itemCount":'
    .. string.format('%d', count) .. '}'
end

-- When the first and the last item came, and how many there are; nothing if somebody wrote
-- something else there.
local function read_meta(text)
  if not text then
    return nil
  end
  local created, last, count = string.match(text,
    '^{"createdAt":"([^"\\]+)","lastItemAt":"([^"\\]+)","itemCount":(%d+)}$')
  if created then
    return created, last, math.min(tonumber(count), 1e15)
  end
  local is_json, meta = pcall(cjson.decode, text)
  if not is_json or type(meta) ~= 'table' then
    return nil
  end
  created, last, count = meta.createdAt, meta.lastItemAt, tonumber(meta.itemCount)
  local known = type(created) == 'string' and type(last) == 'string' and count
  -- Else the text around them could not be put together again.
  if not known or string.find(created .. last, '[^%w:.+-]') or count ~= count then
    return nil
  end
  return created, last, math.min(math.max(math.floor(count), 0), 1e15)
end

-- How many items one element of a list is.
local function items_in(element)
  if string.sub(element, 1, 5) ~= 'zstd:' then
    return 1
  end
  return tonumber(string.match(element, '^zstd:(%d%d?%d?%d?):%d+:')) or 1
end

-- How many bytes the items of one element are.
local function bytes_in(element)
  return tonumber(string.match(element, '^zstd:%d+:(%d+):')) or #element
end

-- A server whose memory is full refuses every command that may need more, unless the script has
-- written before. Flushing is what makes room, so it begins with a write that needs none.
local function write_also_when_full(sorted_set)
  redis.call('ZREM', sorted_set, '')
end
