-- ARGV: the kinds of claims, then for each claim: its kind, what it claims, and for what.
-- Claims for what is published elsewhere, in a step of its own. So a claim notes for what it is made:
-- the holder is the claimant, and in a second line the last few things it was granted for, the
-- latest first.
-- Who asks again for the same thing is granted it again, once in a call; a thing that begins with ?
-- has yet to be published, and nobody is granted the name until that is known.
-- Gives for each claim 1 if it is granted, 0 if not, or the milliseconds since the claim that is not
-- known yet, a space, and what that is for.
local KEPT_MAX = 8
local first = read_claim_kinds(1)
for at = first, #ARGV, 3 do announce(ARGV[at], ARGV[at + 1]) end
look_up_claims()
local now, answers, before = now_ms(), {}, {}
for at = first, #ARGV, 3 do
  local kind, name, cause = claim_kinds[ARGV[at]], ARGV[at + 1], ARGV[at + 2]
  local ledger = kind.ledger
  local holder = ledger.holders[name]
  local by, causes = string.match(holder or '', '^([^\n]*)\n?(.*)$')
  if not before[name] then
    before[name] = {}
    for known in string.gmatch(causes, '[^,]+') do before[name][known] = true end
  end
  local answer = '0'
  local unknown, since = string.match(causes, '^%?([^@,]+)@(%d+)')
  if before[name][cause] then
    before[name][cause], answer = nil, '1'
  elseif unknown then
    answer = text_of(math.max(2, now - tonumber(since))) .. ' ' .. unknown
  elseif not holder or (not kind.only_unclaimed and by ~= kind.claimant) then
    if string.sub(cause, 1, 1) == '?' then
      causes = cause .. '@' .. text_of(now)
    else
      local kept = {cause}
      for known in string.gmatch(causes, '[^,]+') do
        if #kept < KEPT_MAX then kept[#kept + 1] = known end
      end
      causes = table.concat(kept, ',')
    end
    holder, answer = kind.claimant .. '\n' .. causes, '1'
    ledger.holders[name] = holder
  end
  if answer == '1' or (answer == '0' and not kind.only_unclaimed) then
    local count = #ledger.changes
    ledger.changes[count + 1], ledger.changes[count + 2] = name, holder
  end
  answers[#answers + 1] = answer
end
keep_claims()
return answers
