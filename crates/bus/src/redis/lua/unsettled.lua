-- KEYS: a stream that is put aside, the state of its group. ARGV: group ('' for letters, which no
-- group reads), the id after which to begin, most messages.
-- Gives {where to go on, messages}: what the group has not settled, in the order of ids, each as
-- {1 if it may have had its effects, entry}. The place to go on is '' at the end.
local stream, group, after, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local found = (groups_of(stream) or {})[group]
local delivered = found and found['last-delivered-id'] or '0-0'
local repeat_until = redis.call('HGET', KEYS[2], 'repeat_until') or '0-0'
local messages, looked_at, last = {}, 0, after

if found and id_less(after, delivered) then
  for _, pending in ipairs(redis.call('XPENDING', stream, group, id_next(after), delivered, most)) do
    -- One that was deleted meanwhile is gone.
    local entry = redis.call('XRANGE', stream, pending[1], pending[1])[1]
    if entry then messages[#messages + 1] = {1, entry} end
    looked_at, last = looked_at + 1, pending[1]
  end
end
if looked_at < most then
  local from = id_less(after, delivered) and delivered or after
  for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. from, '+', 'COUNT', most - looked_at)) do
    local may_repeat = not id_less(repeat_until, entry[1])
    messages[#messages + 1] = {may_repeat and 1 or 0, entry}
    looked_at, last = looked_at + 1, entry[1]
  end
end
return {looked_at == 0 and '' or last, messages}
