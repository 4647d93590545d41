//! Writes messages and their claims as the scripts expect them (`lua/claims.lua`).

use common::FieldSink;
use common::keys::ClaimsKey;
use redis_link::Cmd;

use super::millis;
use crate::once::{Once, OnceRule};

/// What the claims of one call have in common, said once.
#[derive(Debug, Default)]
pub(crate) struct ClaimKinds(Vec<Kind>);

/// Claimant, window in milliseconds, and rule.
pub(crate) type Kind = (&'static str, u64, OnceRule);

impl ClaimKinds {
    pub(crate) fn of(claims: impl Iterator<Item = Kind>) -> Self {
        let mut kinds: Vec<Kind> = Vec::new();
        for kind in claims {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        Self(kinds)
    }

    pub(crate) fn write(&self, command: &mut Cmd) {
        command.arg(self.0.len());
        for &(claimant, window_ms, rule) in &self.0 {
            let first_window = ClaimsKey {
                window_ms,
                number: 0,
            };
            command.arg(claimant).arg(window_ms).arg(rule_name(rule));
            command.arg(first_window.to_string());
        }
    }

    /// Writes which kind a claim is, and what it claims; 0 for no claim.
    pub(crate) fn write_claim(&self, command: &mut Cmd, claim: Option<&Once>) {
        let number = claim.map_or(0, |claim| {
            let kind = kind_of(claim);
            1 + self.0.iter().take_while(|known| **known != kind).count()
        });
        let name = claim.map_or("", |claim| claim.key.as_str());
        command.arg(number).arg(name);
    }
}

pub(crate) fn kind_of(claim: &Once) -> Kind {
    (claim.claimant, millis(claim.window).max(1), claim.rule)
}

fn rule_name(rule: OnceRule) -> &'static str {
    match rule {
        OnceRule::Unclaimed => "unclaimed",
        OnceRule::OtherClaimant => "other_claimant",
    }
}

/// Names and values in turn, for scripts that must know their number first. One piece of memory
/// serves all messages of a call.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// Writes how many there are and all of them, and forgets them.
    pub(super) fn write(&mut self, command: &mut Cmd) {
        command.arg(self.ends.len());
        let mut rest = self.bytes.as_slice();
        let mut start = 0;
        for end in self.ends.drain(..) {
            let (text, after) = rest.split_at(end - start);
            command.arg(text);
            (rest, start) = (after, end);
        }
        self.bytes.clear();
    }
}

impl FieldSink for Texts {
    fn field(&mut self, name: &str, value: &str) {
        self.push(name.as_bytes());
        self.push(value.as_bytes());
    }
}
