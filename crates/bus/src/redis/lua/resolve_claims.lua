-- ARGV: the kinds of claims, then for each claim: its kind, what it claims, what for, and 1 if that was
-- published, 0 if it never will be. A claim that is no longer made for that stays as it is.
local first = read_claim_kinds(1)
for at = first, #ARGV, 4 do announce(ARGV[at], ARGV[at + 1]) end
look_up_claims()
for at = first, #ARGV, 4 do
  local kind, name, cause = claim_kinds[ARGV[at]], ARGV[at + 1], '?' .. ARGV[at + 2]
  local ledger = kind.ledger
  local by, causes = string.match(ledger.holders[name] or '', '^([^\n]*)\n?([^@]*)')
  if causes == cause then
    for number = ledger.number, ledger.number - 1, -1 do
      call('HDEL', ledger.prefix .. text_of(number), name)
    end
    if ARGV[at + 3] == '1' then
      local count = #ledger.changes
      ledger.changes[count + 1], ledger.changes[count + 2] = name, by
    end
  end
end
keep_claims()
return 0
