-- KEYS: dead-letter stream, topic, counts of the letters. ARGV: the name of the field that says where
-- a message was first published; how many names of fields, the names of the fields that a letter
-- adds in their order, the last of which only parts have; then ids.
-- Publishes the message of each letter again and removes the letter. Gives for each letter the new
-- id, '' if there is no such letter, or 'PART' or 'EMPTY' or 'LARGE' if it cannot be published. The
-- letter goes after the message is there: a script that fails is not rolled back.
local letters, topic, counts = KEYS[1], KEYS[2], KEYS[3]
local redriven_from, names = ARGV[1], tonumber(ARGV[2])
local part = ARGV[2 + names]
local added = names - 1

-- The texts of the message: all before what was added at the end. A letter that somebody else
-- wrote may have its additions anywhere: there, the names tell.
local function message_of(texts)
  local own = #texts - 2 * added
  local ours = own >= 0
  for number = 1, added do
    ours = ours and texts[own + 2 * number - 1] == ARGV[2 + number]
  end
  if ours then return own > 0 and own <= PASSED_ON_MAX and {unpack(texts, 1, own)}, own end
  local known, rest = {}, {}
  for number = 1, names do known[ARGV[2 + number]] = true end
  for at = 1, #texts, 2 do
    if texts[at] == part then return nil, -1 end
    if not known[texts[at]] then
      rest[#rest + 1] = texts[at]
      rest[#rest + 1] = texts[at + 1]
    end
  end
  return rest, #rest
end

-- Where the message of a letter was; nil if the letter does not say so.
local function source_of(texts)
  for at = #texts - 1, 1, -2 do
    if texts[at] == 'dlq_id' then return is_id(texts[at + 1]) and texts[at + 1] or nil end
  end
end

-- Has the message say where it was first published, as its last field. One that was redriven before
-- says so already.
local function remember_first_id(message, source)
  local name, value = message[#message - 1], message[#message]
  if not source or name == redriven_from and is_id(value) and id_less(value, source) then return end
  message[#message + 1] = redriven_from
  message[#message + 1] = source
end

local results = {}
for at = 3 + names, #ARGV do
  local id, result = ARGV[at], ''
  local letter = redis.call('XRANGE', letters, id, id)[1]
  if letter then
    local message, own = message_of(letter[2])
    if own < 0 then
      result = 'PART'
    elseif own == 0 then
      result = 'EMPTY'
    elseif own > PASSED_ON_MAX then
      result = 'LARGE'
    else
      remember_first_id(message, source_of(letter[2]))
      result = redis.call('XADD', topic, '*', unpack(message))
      redis.call('XDEL', letters, id)
      redis.call('HINCRBY', counts, 'redriven', 1)
    end
  end
  results[#results + 1] = result
end
return results
