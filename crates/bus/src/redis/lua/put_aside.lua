-- KEYS: topic, its dead letters, the names under which both are put aside, the move.
-- ARGV: how many messages and letters went over in earlier moves, then the groups that the topic declares.
-- Puts a topic and its dead letters aside with their groups, in one step. From then on the old names
-- are texts: whoever still reads, writes or settles there is refused, so nothing can come too late.
-- Gives 1 if something was put aside, 0 if all was aside before.
local move = KEYS[5]
local declared = {}
for at = 3, #ARGV do declared[ARGV[at]] = true end
for name in pairs(groups_of(KEYS[1]) or {}) do
  if not declared[name] then return redis.error_reply('GROUPS ' .. name) end
end
local state = redis.call('HGET', move, 'state')
local published, letters, moved = 0, 0, 0
for at = 1, 2 do
  local stream, aside = KEYS[at], KEYS[at + 2]
  local kind = redis.call('TYPE', stream)['ok']
  -- A stream beside one that is aside was written by somebody who removed the text. It waits until
  -- the other one went over.
  if kind == 'stream' and not (state == 'copying' and redis.call('EXISTS', aside) == 1) then
    local added = fields_of(redis.call('XINFO', 'STREAM', stream))['entries-added']
    if at == 1 then published = added else letters = redis.call('XLEN', stream) end
    redis.call('DEL', aside)
    redis.call('RENAME', stream, aside)
    kind, moved = 'none', 1
  end
  if kind == 'none' then redis.call('SET', stream, 'moved to Kafka, see ' .. move) end
end
if not state or state == 'done' and moved == 1 then
  redis.call('HSET', move, 'state', 'copying', 'since', iso_of(now_ms()), 'published', published,
    'letters', letters, 'copied', ARGV[1], 'copied_letters', ARGV[2])
  moved = 1
end
return moved
