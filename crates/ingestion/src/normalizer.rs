//! The stage `normalizers`. Reads `events.raw`; writes profiles and identifiers (SQL),
//! `events.normalized`, `events.rejected` and `profiles.merge_requests`.
//!
//! Redelivery is harmless: profiles follow from their identifiers, an identifier is attached once,
//! and messages are published in the step that settles their cause, under a claim on the event.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{MessageId, Once, OnceRule};
use common::fields::TextField;
use common::keys::{EventSeenKey, MergeProposedKey};
use common::messages::{
    JsonText, MergeReason, MergeRequest, NormalizedEvent, REDRIVEN_FROM, RawEvent, RejectedEvent,
};
use common::topics::{EventsNormalized, EventsRaw, EventsRejected, MergeRequests, groups};
use common::{Clock, ObservedIdentifier, Unavailable, UnixMillis};
use identity::Region;
use serde_json::{Map, Value};
use stores::{IdentifierKey, Profiles};
use worker::{Batch, Processor, Received, Verdicts};

use crate::backlog::Backlog;
use crate::metrics;
use crate::resolution::{self, MergeProposal, Observation, Plan};
use crate::rules::rejection::Rejection;
use crate::rules::{payload, timestamp};
use crate::settings::Config;

/// How often a batch is resolved anew when others attach the same identifiers at the same time.
const RESOLVE_ATTEMPTS: usize = 10;

/// How long the same people are not proposed again while nobody decides.
const PROPOSAL_WINDOW: Duration = Duration::from_hours(24);

/// Gives events their normal form and says whose they are.
pub(crate) struct Normalizer {
    profiles: Profiles,
    backlog: Backlog,
    clock: Arc<dyn Clock>,
    default_region: Option<Region>,
    dedup_window: Duration,
}

/// An event in normal form, before it is known whose it is.
struct Normal {
    at: UnixMillis,
    payload: Map<String, Value>,
    identifiers: Vec<ObservedIdentifier>,
    warnings: Vec<&'static str>,
}

impl Normalizer {
    pub(crate) fn new(
        profiles: Profiles,
        backlog: Backlog,
        clock: Arc<dyn Clock>,
        config: &Config,
    ) -> Self {
        let default_region = config.default_region;
        Self {
            profiles,
            backlog,
            clock,
            default_region,
            dedup_window: config.dedup_window(),
        }
    }

    /// Resolves the batch and writes what is new. Somebody else may attach one of the identifiers
    /// between the read and the write: then both begin anew, and see each other.
    async fn resolve(
        &self,
        observations: &[Observation<'_>],
        now: UnixMillis,
    ) -> anyhow::Result<Plan> {
        let identifiers: BTreeSet<IdentifierKey> =
            observations.iter().flat_map(Observation::keys).collect();
        for _ in 0..RESOLVE_ATTEMPTS {
            let known = self.profiles.known(&identifiers).await?;
            let plan = resolution::resolve(observations, known);
            let nothing_new = plan.profiles.is_empty() && plan.identifiers.is_empty();
            if nothing_new
                || self
                    .profiles
                    .add(&plan.profiles, &plan.identifiers, now)
                    .await?
            {
                return Ok(plan);
            }
            metrics::conflict();
        }
        let detail = "others keep attaching the same identifiers";
        Err(Unavailable::new("sql", detail).into())
    }

    fn once(&self, event: &RawEvent) -> Once {
        let (brand_id, event_id) = (event.brand_id.clone(), event.event_id);
        Once {
            key: EventSeenKey { brand_id, event_id }.to_string(),
            claimant: groups::NORMALIZERS,
            window: self.dedup_window,
            rule: OnceRule::OtherClaimant,
        }
    }
}

impl Processor for Normalizer {
    const GROUP: &'static str = groups::NORMALIZERS;
    type Input = EventsRaw;

    async fn process(&self, batch: &Batch<EventsRaw>) -> anyhow::Result<Verdicts> {
        if self.backlog.is_full() {
            let detail = "too many events wait for the event-processors";
            return Err(Unavailable::new("backlog", detail).into());
        }
        let now = self.clock.now();
        let mut verdicts = Verdicts::all_done();
        let mut normal: Vec<(&Received<RawEvent>, Normal)> = Vec::new();
        for received in &batch.messages {
            // What was accepted is not judged again by a clock that is behind the one that took it.
            let accepted_at = i64::try_from(received.id.major).unwrap_or(0);
            let latest = now.max(UnixMillis(accepted_at));
            match normalize(&received.message, self.default_region, latest) {
                Ok(event) => normal.push((received, event)),
                Err(rejection) => {
                    metrics::rejected(rejection.reason);
                    let once = self.once(&received.message);
                    let rejected = rejected(&received.message, rejection, now);
                    verdicts.publish_once::<EventsRejected>(received.id, &rejected, once);
                }
            }
        }
        let observations: Vec<Observation<'_>> = normal
            .iter()
            .map(|(received, event)| Observation {
                brand_id: &received.message.brand_id,
                event_id: received.message.event_id,
                identifiers: &event.identifiers,
            })
            .collect();
        let plan = self.resolve(&observations, now).await?;
        publish_proposals(&mut verdicts, &normal, &plan, now);
        for ((received, event), resolution) in normal.into_iter().zip(plan.resolutions) {
            let message = normalized(&received.message, event, &resolution);
            let once = self.once(&received.message);
            verdicts.publish_once::<EventsNormalized>(received.id, &message, once);
        }
        Ok(verdicts)
    }
}

/// The same people are proposed once in a batch and once a day, however many events show them
/// together.
fn publish_proposals(
    verdicts: &mut Verdicts,
    normal: &[(&Received<RawEvent>, Normal)],
    plan: &Plan,
    now: UnixMillis,
) {
    let mut proposed: HashSet<&[common::ProfileId]> = HashSet::new();
    for ((received, _), resolution) in normal.iter().zip(&plan.resolutions) {
        let Some(proposal) = &resolution.proposal else {
            continue;
        };
        if proposed.insert(&proposal.profiles) {
            metrics::merge_requested();
            publish_proposal(verdicts, received.id, &received.message, (proposal, now));
        }
    }
}

fn publish_proposal(
    verdicts: &mut Verdicts,
    cause: MessageId,
    event: &RawEvent,
    (proposal, now): (&MergeProposal, UnixMillis),
) {
    let request = MergeRequest {
        brand_id: event.brand_id.clone(),
        profile_ids: json(&proposal.profiles),
        reason: MergeReason::IdentifierMatch,
        requires_manual_review: proposal.requires_manual_review,
        timestamp: now,
        request_id: Some(proposal.request_id(event.event_id)),
        event_id: Some(event.event_id),
        evidence: Some(json(&proposal.evidence)),
        traceparent: event.traceparent.clone(),
        extra: Vec::new(),
    };
    let claim = Once {
        key: MergeProposedKey {
            request_id: proposal.claim_id(),
        }
        .to_string(),
        claimant: groups::NORMALIZERS,
        window: PROPOSAL_WINDOW,
        rule: OnceRule::Unclaimed,
    };
    verdicts.publish_once::<MergeRequests>(cause, &request, claim);
}

fn normalize(
    event: &RawEvent,
    region: Option<Region>,
    now: UnixMillis,
) -> Result<Normal, Rejection> {
    let at = timestamp::parse_text(&event.timestamp, now)?;
    let given = object("payload", &event.payload)?;
    let explicit = event
        .identifiers
        .as_ref()
        .map(|text| object("identifiers", text))
        .transpose()?;
    let found = identity::extract(explicit.as_ref(), &given, region);
    let normal = payload::normalize(event.event_type.as_str(), given)?;
    let mut warnings = normal.warnings;
    warnings.extend(found.warnings);
    Ok(Normal {
        at,
        payload: normal.payload,
        identifiers: found.identifiers,
        warnings,
    })
}

/// Other programs may write into the stream too, so what the API checked is checked again.
fn object(name: &str, text: &JsonText) -> Result<Map<String, Value>, Rejection> {
    crate::rules::json_shape::check_object(&text.0)?;
    serde_json::from_str(&text.0).map_err(|error| {
        Rejection::new(
            "invalid_json",
            format!("{name} is not a JSON object: {error}"),
        )
    })
}

fn normalized(
    event: &RawEvent,
    normal: Normal,
    resolution: &resolution::Resolution,
) -> NormalizedEvent {
    let mut warnings = normal.warnings;
    warnings.extend(&resolution.warnings);
    NormalizedEvent {
        event_id: event.event_id,
        brand_id: event.brand_id.clone(),
        event_type: event.event_type.clone(),
        profile_id: resolution.owner.map(|owner| owner.root_id),
        identifiers: json(&normal.identifiers),
        normalized_payload: json(&normal.payload),
        timestamp: normal.at,
        origin_id: resolution.owner.map(|owner| owner.origin_id),
        warnings: (!warnings.is_empty()).then(|| json(&warnings)),
        client_event_id: event.client_event_id.clone(),
        traceparent: event.traceparent.clone(),
        extra: unknown_to(NormalizedEvent::FIELDS, &event.extra),
    }
}

/// Fields that are passed on: what the sender's message did not know must not become a field that
/// the next message does know, or that means something to the bus.
fn unknown_to(known: &[&str], extra: &[TextField]) -> Vec<TextField> {
    extra
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()) && name != REDRIVEN_FROM)
        .cloned()
        .collect()
}

fn rejected(event: &RawEvent, rejection: Rejection, now: UnixMillis) -> RejectedEvent {
    RejectedEvent {
        event_id: event.event_id,
        brand_id: event.brand_id.clone(),
        event_type: event.event_type.clone(),
        payload: event.payload.clone(),
        timestamp: event.timestamp.clone(),
        reason: rejection.reason.to_owned(),
        message: rejection.message,
        rejected_at: now,
        rejected_by: <Normalizer as Processor>::GROUP.to_owned(),
        traceparent: event.traceparent.clone(),
        extra: unknown_to(RejectedEvent::FIELDS, &event.extra),
    }
}

fn json<T: serde::Serialize>(value: &T) -> JsonText {
    // Strings, numbers, lists and maps with text keys: nothing that JSON cannot say.
    JsonText(serde_json::to_string(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_mean_something_to_the_next_reader_are_not_passed_on() {
        let named = |names: &[&str]| -> Vec<TextField> {
            let field = |name: &&str| ((*name).to_owned(), "5-1".to_owned());
            names.iter().map(field).collect()
        };
        let extra = named(&["colour", "origin_id", REDRIVEN_FROM, "payload"]);
        let passed_on = unknown_to(NormalizedEvent::FIELDS, &extra);
        assert_eq!(passed_on, named(&["colour", "payload"]));
    }
}
