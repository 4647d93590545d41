-- Shared by the scripts that write dead letters.

-- A message of absurdly many fields becomes several letters: Lua passes on fewer than 8,000 values.
local function parts_of(texts)
  if #texts <= PASSED_ON_MAX then return {texts} end
  local parts = {}
  for from = 1, #texts, PASSED_ON_MAX do
    parts[#parts + 1] = {unpack(texts, from, math.min(from + PASSED_ON_MAX - 1, #texts))}
  end
  return parts
end

-- Appends the letter of a message: its texts, then what the letter adds.
local function write_letter(letters, counts, texts, added)
  local parts = parts_of(texts)
  for number, part in ipairs(parts) do
    for _, text in ipairs(added) do part[#part + 1] = text end
    if #parts > 1 then
      part[#part + 1] = 'dlq_part'
      part[#part + 1] = number .. '/' .. #parts
    end
    redis.call('XADD', letters, '*', unpack(part))
  end
  if #parts > 1 then redis.call('HINCRBY', counts, 'split', #parts - 1) end
end

-- Removes letters that were kept long enough.
local function expire_letters(letters, counts, now, retention_ms)
  local oldest = text_of(math.max(0, now - tonumber(retention_ms)))
  local expired = redis.call('XTRIM', letters, 'MINID', '~', oldest)
  if expired > 0 then redis.call('HINCRBY', counts, 'expired', expired) end
end
