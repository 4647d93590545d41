-- KEYS: stream, the hash in which to claim. ARGV: when the hash may expire, the claimant, then names.
-- Runs in the transaction that appends, after it has. Claims nothing if the stream was put aside or
-- takes nothing more, because a claim without its message would have the message lost when it comes
-- again. Gives for each name whether nobody had claimed it, as one text of 0 and 1.
local last = redis.call('XINFO', 'STREAM', KEYS[1])
for at = 1, #last, 2 do
  if last[at] == 'last-generated-id' and last[at + 1] == '18446744073709551615-18446744073709551615' then
    return redis.error_reply('ERR the stream has no ids left')
  end
end
local first = {}
for at = 3, #ARGV do first[at - 2] = redis.call('HSETNX', KEYS[2], ARGV[at], ARGV[2]) end
redis.call('PEXPIREAT', KEYS[2], ARGV[1])
return table.concat(first)
