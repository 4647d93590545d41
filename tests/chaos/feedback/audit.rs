//! What a round came to: what was given against the documents, the events and what waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, ensure};
use bus::{MessageId, TopicOverview};
use common::ids::feedback_event_id;
use common::messages::FeedbackCreated;
use common::topics::{FeedbackCreatedTopic, FeedbackReactions, FeedbackReplies};
use common::topics::{Topic as _, TopicInfo};
use common::{AgentId, Message as _};
use serde_json::json;
use stores::FeedbackDocument;
use testkit::servers::{eventually, eventually_async, redis_cli};

use super::deployment::Deployment;
use super::given::Given;
use crate::findings::Findings;
use crate::mill::{Mill as _, Source as _};

/// What must be finished for a round to be over.
pub(super) const TOPICS: [TopicInfo; 2] = [FeedbackReplies::INFO, FeedbackReactions::INFO];
/// Messages that are read at once.
const PAGE: usize = 1_000;
/// How long a server that was just started may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Wrong things that are told of each kind.
const NOTES_MAX: usize = 3;
/// Keys of batches, flushes and their indexes; claims stay.
const WAITING_KEYS: &str = "feedback:[bf][al]*";
const FOUND_MAX: u32 = 1_000_000;

/// What there was before a round.
#[derive(Debug, Clone)]
pub(crate) struct Baseline {
    /// Where its events begin.
    from: MessageId,
    created: u64,
    /// Dead letters that may be there at the end.
    pub(crate) letters: u64,
}

impl Baseline {
    pub(super) fn of(mill: &Deployment) -> Result<Self> {
        mill.block_on(async {
            let topic = FeedbackCreatedTopic::INFO;
            let last = mill.bus().range_back(topic.name, MessageId::MAX, 1).await?;
            Ok(Self {
                from: last.first().map_or(MessageId::ZERO, |last| last.id.next()),
                created: overview(mill, &topic).await?.published,
                letters: letters(mill).await?,
            })
        })
    }
}

async fn overview(mill: &Deployment, topic: &TopicInfo) -> Result<TopicOverview> {
    let bus = mill.bus();
    let asked = eventually_async("an overview", ANSWER, async || {
        bus.overview(topic).await.ok()
    });
    asked.await
}

/// How many dead letters there are.
pub(super) async fn letters(mill: &Deployment) -> Result<u64> {
    let mut letters = 0;
    for topic in &TOPICS {
        letters += overview(mill, topic).await?.dead_letters;
    }
    Ok(letters)
}

/// Waits until every message is settled and nothing waits in a batch. While it waits, no message may
/// be unaccounted for.
pub(super) fn drain(mill: &Deployment, findings: &mut Findings, deadline: Duration) -> Result<()> {
    let (bus, batches) = (mill.bus(), mill.batches()?);
    let mut open = 0;
    let drained = mill.block_on(eventually_async("the end", deadline, async || {
        open = 0;
        for topic in &TOPICS {
            let overview = bus.overview(topic).await.ok()?;
            if !overview.audit().is_balanced() && findings.difference == 0 {
                findings.difference += 1;
                findings.notes.push(format!("{:?}", overview.audit()));
            }
            let backlogs = overview.groups.iter().map(bus::GroupOverview::backlog);
            open += backlogs.sum::<u64>() + u64::from(overview.groups.is_empty());
        }
        open += batches.overview(1).await.ok()?.total_items;
        (open == 0).then_some(())
    }));
    if drained.is_err() {
        findings.stuck = open.max(1);
        let waiting = mill.block_on(batches.overview(10));
        findings.notes.push(format!("stuck: {waiting:?}"));
        for topic in &TOPICS {
            let overview = mill.block_on(overview(mill, topic))?;
            findings.notes.push(format!("stuck: {overview:?}"));
        }
    }
    Ok(())
}

/// Compares everything that there is after a round with what was accepted in it.
pub(super) fn check(
    mill: &Deployment,
    source: &Given,
    before: &Baseline,
    findings: &mut Findings,
) -> Result<()> {
    let expected = source.documents()?;
    ensure!(
        i64::try_from(expected.len())? == source.accepted(),
        "the harness gave one document twice"
    );
    let agents = source.agents()?;
    check_nothing_is_left(mill, findings);
    mill.block_on(async {
        for agent in &agents {
            check_documents(mill, agent, &expected, findings).await?;
        }
        check_events(mill, before, (&agents, &expected), findings).await?;
        for topic in &TOPICS {
            let audit = overview(mill, topic).await?.audit();
            if !audit.is_balanced() || !audit.is_proven() {
                findings.difference += 1;
                findings.notes.push(format!("{audit:?}"));
            }
        }
        findings.dead = letters(mill).await?.abs_diff(before.letters);
        anyhow::Ok(())
    })
}

/// A flusher that hung may add what others have finished once more; then that is flushed again, and
/// changes nothing.
fn check_nothing_is_left(mill: &Deployment, findings: &mut Findings) {
    let mut keys = String::new();
    let gone = eventually("nothing to be left", ANSWER, || {
        keys = redis_cli(mill.redis().url(), &["KEYS", WAITING_KEYS]).ok()?;
        keys.is_empty().then_some(())
    });
    if gone.is_err() {
        findings.difference += 1;
        findings.notes.push(format!("left in redis: {keys}"));
    }
}

/// Each piece of feedback on an agent is exactly one document, and as it was given.
async fn check_documents(
    mill: &Deployment,
    agent: &AgentId,
    all: &BTreeMap<String, FeedbackDocument>,
    findings: &mut Findings,
) -> Result<()> {
    let found = mill.documents.of_agent(agent, FOUND_MAX).await?;
    let mut missing: BTreeMap<&str, &FeedbackDocument> = all
        .iter()
        .filter(|(_, document)| document.agent_id == *agent)
        .map(|(id, document)| (id.as_str(), document))
        .collect();
    let expected = missing.len();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for document in &found {
        let id = document.feedback_id.as_str();
        if !seen.insert(id) {
            findings.doubled += 1;
        } else if missing.remove(id) != Some(document) {
            wrong.push(format!("not as it was given: {document:?}"));
        }
    }
    findings.lost += i64::try_from(missing.len())?;
    findings.difference += u64::try_from(wrong.len())?;
    let lost = missing.keys().map(|id| format!("lost on {agent}: {id}"));
    findings.notes.extend(lost.take(NOTES_MAX));
    findings.notes.extend(wrong.into_iter().take(NOTES_MAX));
    let counted = if mill.mongo.is_some() {
        let query = json!({"agentId": agent.as_str()});
        let command = [("count", json!("feedback")), ("query", query)];
        let answer = mill.ask_mongo(&command)?;
        let counted = answer.get("n").and_then(serde_json::Value::as_f64);
        format!("{:.0}", counted.unwrap_or(f64::NAN))
    } else {
        mill.documents.count(Some(agent)).await?.to_string()
    };
    if counted != expected.to_string() {
        findings.difference += 1;
        let note = format!("documents of {agent}: {counted}, not {expected}");
        findings.notes.push(note);
    }
    Ok(())
}

/// Each document was told of, and always by the same event.
async fn check_events(
    mill: &Deployment,
    before: &Baseline,
    (agents, all): (&[AgentId], &BTreeMap<String, FeedbackDocument>),
    findings: &mut Findings,
) -> Result<()> {
    let agents: BTreeSet<&str> = agents.iter().map(AgentId::as_str).collect();
    let topic = FeedbackCreatedTopic::INFO;
    let published = overview(mill, &topic).await?.published;
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut from, mut count, mut wrong) = (before.from, 0, Vec::new());
    loop {
        let page = mill.bus().range(topic.name, from, PAGE).await?;
        let Some(last) = page.last() else { break };
        from = last.id.next();
        for message in page {
            let event = FeedbackCreated::decode(message.fields)?;
            if !agents.contains(event.agent_id.as_str()) {
                continue;
            }
            count += 1;
            if !tells_of(&event, all.get(&event.feedback_id)) {
                wrong.push(format!("an event that tells wrong: {event:?}"));
            }
            let id = event.event_id.to_string();
            ids.entry(event.feedback_id).or_default().insert(id);
        }
    }
    findings.difference += u64::try_from(wrong.len())?;
    findings.notes.extend(wrong.into_iter().take(NOTES_MAX));
    let expected = u64::try_from(all.len())?;
    findings.expect_equal("events published", published - before.created, expected);
    // Of more only the newest are kept.
    if expected <= topic.retained {
        findings.expect_equal("events found", count, expected);
        findings.expect_equal("told of", u64::try_from(ids.len())?, expected);
    }
    let ambiguous = ids.values().filter(|ids| ids.len() > 1).count();
    findings.doubled += i64::try_from(ambiguous)?;
    Ok(())
}

fn tells_of(event: &FeedbackCreated, document: Option<&FeedbackDocument>) -> bool {
    document.is_some_and(|document| {
        event.event_id == feedback_event_id(&document.feedback_id)
            && event.agent_id == document.agent_id.as_str()
            && event.kind == document.kind
            && event.room_id == document.room_id
            && event.message_id == document.message_id
            && event.user_id == document.user_id
            && event.created_at == document.created_at
    })
}
