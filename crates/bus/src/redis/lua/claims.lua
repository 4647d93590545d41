-- Claims: who claimed a name last, within a window. They are fields of hashes, one hash for each
-- window since 1970, because a field takes half the time and memory of a key. A hash that is over is
-- unlinked here, so that the server frees it in the background; its expiry is for when nobody comes.
local call = redis.call
local claim_kinds, ledgers = {}, {}

-- Reads what claims have in common from ARGV: how many kinds, then claimant, window in ms, rule and
-- the key of the first window of each. Gives the place after it. Kinds are known by their numbers as
-- texts, so that none is converted.
local function read_claim_kinds(at)
  local count = tonumber(ARGV[at])
  at = at + 1
  for number = 1, count do
    local key = ARGV[at + 3]
    ledgers[key] = ledgers[key] or {
      prefix = string.sub(key, 1, -2), window_ms = tonumber(ARGV[at + 1]),
      names = {}, holders = {}, changes = {},
    }
    local claimant, only_unclaimed = ARGV[at], ARGV[at + 2] == 'unclaimed'
    claim_kinds[tostring(number)] =
      {claimant = claimant, only_unclaimed = only_unclaimed, ledger = ledgers[key]}
    at = at + 4
  end
  return at
end

-- Announces a name, so that all are looked up at once.
local function announce(kind, name)
  local names = claim_kinds[kind].ledger.names
  names[#names + 1] = name
end

local function look_up_claims()
  local now = now_ms()
  for _, ledger in pairs(ledgers) do
    local names, holders = ledger.names, ledger.holders
    ledger.number = math.floor(now / ledger.window_ms)
    for number = ledger.number, ledger.number - 1, -1 do
      local key = ledger.prefix .. text_of(number)
      for from = 1, #names, PASSED_ON_MAX do
        local last = math.min(from + PASSED_ON_MAX - 1, #names)
        local found = call('HMGET', key, unpack(names, from, last))
        for at = 1, #found do
          local name = names[from + at - 1]
          if found[at] and not holders[name] then holders[name] = found[at] end
        end
      end
    end
  end
end

-- Whether a claim succeeds.
local function claim(kind, name)
  kind = claim_kinds[kind]
  local ledger, claimant = kind.ledger, kind.claimant
  local holder = ledger.holders[name]
  if holder and kind.only_unclaimed then return false end
  local changes = ledger.changes
  local count = #changes
  changes[count + 1], changes[count + 2] = name, claimant
  ledger.holders[name] = claimant
  -- What is published on Kafka notes in a second line what for (claim_for.lua).
  return not holder or string.match(holder, '^[^\n]*') ~= claimant
end

local function keep_claims()
  for _, ledger in pairs(ledgers) do
    local changes, number = ledger.changes, ledger.number
    local key = ledger.prefix .. text_of(number)
    local is_new = changes[1] and call('EXISTS', key) == 0
    for from = 1, #changes, PASSED_ON_MAX do
      call('HSET', key, unpack(changes, from, math.min(from + PASSED_ON_MAX - 1, #changes)))
    end
    if is_new then
      call('PEXPIREAT', key, text_of((number + 2) * ledger.window_ms))
      call('UNLINK', ledger.prefix .. text_of(number - 2))
    end
  end
end
