//! What a round came to: the producer's ledger against SQL, and the streams against themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{MessageId, StoredMessage, TopicOverview};
use common::topics::{
    self, EventsNormalized, EventsRaw, EventsRejected, PredictionRequests, Topic as _, TopicInfo,
};
use serde_json::Value;
use testkit::servers::{WorkerProcess, eventually_async, free_address, http_get};

use super::deployment::Deployment;
use super::sales::Sales;
use crate::findings::Findings;

/// What must be finished for a round to be over.
const TOPICS: [TopicInfo; 2] = [EventsRaw::INFO, EventsNormalized::INFO];
/// Messages that are read at once.
const PAGE: usize = 1_000;
/// How long a server that was just started may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// The streams before a round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Baseline {
    raw: u64,
    normalized: u64,
    rejected: u64,
    requests: u64,
}

impl Baseline {
    /// The streams as they are now.
    pub(crate) fn of(mill: &Deployment) -> Result<Self> {
        mill.block_on(async {
            Ok(Self {
                raw: overview(mill, &EventsRaw::INFO).await?.published,
                normalized: overview(mill, &EventsNormalized::INFO).await?.published,
                rejected: overview(mill, &EventsRejected::INFO).await?.published,
                requests: overview(mill, &PredictionRequests::INFO).await?.published,
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

/// Waits until every accepted event is done or given up and the outbox is empty; gives how many
/// never are. While it waits, no message may be unaccounted for at any moment.
pub(crate) fn drain(mill: &Deployment, findings: &mut Findings, deadline: Duration) -> Result<()> {
    let (bus, outbox) = (mill.bus(), mill.outbox());
    let mut open = 0;
    let drained = mill.block_on(eventually_async("the end", deadline, async || {
        open = 0;
        for topic in &TOPICS {
            let overview = bus.overview(topic).await.ok()?;
            let missing = unaccounted(&overview);
            if missing > 0 && findings.difference == 0 {
                findings.expect_equal("unaccounted for while draining", missing, 0);
                findings.notes.push(format!("{overview:?}"));
            }
            let backlogs = overview.groups.iter().map(bus::GroupOverview::backlog);
            open += backlogs.sum::<u64>() + u64::from(overview.groups.is_empty());
        }
        open += u64::try_from(outbox.oldest(1_000).await.ok()?.len()).ok()?;
        (open == 0).then_some(())
    }));
    if drained.is_err() {
        findings.stuck = open.max(1);
        findings.notes.push(mill.block_on(pending(mill))?);
    }
    Ok(())
}

async fn pending(mill: &Deployment) -> Result<String> {
    let mut text = String::from("stuck:");
    for topic in &TOPICS {
        let overview = overview(mill, topic).await?;
        text = format!("{text} {overview:?}");
    }
    let outbox = mill.outbox().oldest(1_000).await;
    let outbox = outbox.context("reading the outbox")?.len();
    Ok(format!("{text} outbox: {outbox}"))
}

/// `published = done + dead + pending + undelivered`, and nothing vanished: by how much not.
fn unaccounted(overview: &TopicOverview) -> u64 {
    let groups = overview.groups.iter();
    groups
        .map(|group| {
            let settled = group.done + group.dead;
            let accounted = settled + group.pending + group.undelivered.count;
            overview.published.abs_diff(accounted) + group.vanished
        })
        .sum()
}

/// Compares everything that there is after a round with what was accepted in it.
pub(crate) fn check(
    mill: &Deployment,
    source: &Sales,
    before: &Baseline,
    findings: &mut Findings,
) -> Result<()> {
    let (ledger, brand) = (&source.sender.ledger, source.brand.as_str());
    mill.block_on(async {
        let differences = ledger.compare(&mill.stores(), brand).await?;
        findings.lost = differences.lost;
        findings.doubled = differences.doubled;
        findings.difference += u64::try_from(differences.details.len())?;
        findings
            .notes
            .extend(differences.details.into_iter().take(3));

        for topic in topics::ALL {
            let overview = overview(mill, topic).await?;
            findings.dead += overview.dead_letters;
            let missing = unaccounted(&overview);
            findings.expect_equal(&format!("unaccounted for in {}", topic.name), missing, 0);
        }
        let accepted = u64::try_from(ledger.len())?;
        let raw = overview(mill, &EventsRaw::INFO).await?.published;
        // An event that is sent again while the first call is held up may be there twice. The
        // normaliser lets one through.
        let raw = raw.min(before.raw + accepted);
        findings.expect_equal("published on raw", raw, before.raw + accepted);
        let normalized = overview(mill, &EventsNormalized::INFO).await?.published;
        let expected = before.normalized + accepted;
        findings.expect_equal("published on normalized", normalized, expected);
        let rejected = overview(mill, &EventsRejected::INFO).await?.published;
        findings.expect_equal("rejected", rejected, before.rejected);
        let requests = overview(mill, &PredictionRequests::INFO).await?.published;
        let expected = before.requests + u64::try_from(ledger.buyers())?;
        findings.expect_equal("prediction requests", requests, expected);
        let asked = people_asked_for(mill, brand).await?;
        findings.expect_equal("people asked for", asked, u64::try_from(ledger.buyers())?);
        Ok(())
    })
}

/// What an operator is told by `GET /api/audit` after everything: that all of it balances.
pub(crate) fn over_http(mill: &Deployment) -> Result<()> {
    let (address, ops) = (free_address()?, free_address()?);
    let database = mill.sql.url();
    let variables = [
        ("ADMIN_ADDRESS", address.as_str()),
        ("OPS_ADDRESS", &ops),
        ("REDIS_URL", mill.redis.url()),
        ("DATABASE_URL", &database),
    ];
    let mut admin = WorkerProcess::start("admin", &[], &variables)?;
    admin.wait_ready(&ops, ANSWER)?;
    let answer = http_get(&address, "/api/audit")?;
    let audit: Value = serde_json::from_str(&answer.body)?;
    let is = |name: &str| audit.get(name) == Some(&Value::Bool(true));
    ensure!(is("balanced") && is("proven"), "the audit says {audit}");
    Ok(())
}

/// The people of a brand whose predictions were asked for.
async fn people_asked_for(mill: &Deployment, brand: &str) -> Result<u64> {
    let mut people = BTreeSet::new();
    let mut from = MessageId::ZERO;
    loop {
        let topic = PredictionRequests::INFO.name;
        let page = mill.bus().range(topic, from, PAGE).await?;
        let Some(last) = page.last() else { break };
        from = last.id.next();
        people.extend(page.iter().filter_map(|message| person_of(message, brand)));
    }
    Ok(u64::try_from(people.len())?)
}

fn person_of(message: &StoredMessage, brand: &str) -> Option<Vec<u8>> {
    let field = |name: &str| {
        let fields = &mut message.fields.0.iter();
        let found = fields.find(|(field, _)| field == name.as_bytes());
        found.map(|(_, value)| value.clone())
    };
    let of_brand = field("brand_id")? == brand.as_bytes();
    of_brand.then(|| field("profile_id")).flatten()
}
