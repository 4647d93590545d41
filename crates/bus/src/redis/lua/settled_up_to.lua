-- KEYS: stream, group state. ARGV: group.
-- Gives the highest id up to which the group has settled everything; where it would be created
-- again if it is lost.
local groups = groups_of(KEYS[1])
local group = groups and groups[ARGV[1]]
if not group then return redis.call('HGET', KEYS[2], 'floor') or '0-0' end
if group['pending'] == 0 then return group['last-delivered-id'] end
return id_previous(redis.call('XPENDING', KEYS[1], ARGV[1])[2])
