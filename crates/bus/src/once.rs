//! Claims that make a message be published once.

use std::time::Duration;

/// When a claim to publish succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnceRule {
    /// If nobody has claimed the key within its window.
    Unclaimed,
    /// If the key was not last claimed by the same claimant.
    OtherClaimant,
}

/// A claim that is made in the atomic step that publishes: the message is published if and only if
/// the claim succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The key that is claimed, unique for what must happen once.
    pub key: String,
    /// Who claims it.
    pub claimant: &'static str,
    /// How long the claim is remembered.
    pub window: Duration,
    /// When it succeeds.
    pub rule: OnceRule,
}

/// Who claims names, and for how long; see [`Bus::publish_new`](crate::Bus::publish_new).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimWindow {
    /// Who claims them.
    pub claimant: &'static str,
    /// How long the claims are remembered at least.
    pub length: Duration,
}
